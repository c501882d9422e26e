"""be's recurrences over lists of steps, one matrix product a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anode.frontends.neon.backends.tensor import Tensor

Steps = Sequence[Tensor]


class Unrolled:
    """For layers of programs that loop themselves; neon's own recurrent layers compile to loops."""

    compound_dot: Any

    def compound_rnn_unroll_fprop(
        self,
        W_recur: Tensor,
        h_prev_s: Steps,
        h_ff_s: Steps,
        h_s: Steps,
        bias: Tensor,
        nout: int,
        num_steps: int,
        num_used_steps: int | None,
        activation: Any,
        reverse: bool = False,
    ) -> None:
        """h = activation(W_recur · h before + what came from the input + bias) for each step."""
        steps = list(zip(h_s, h_prev_s, h_ff_s, strict=False))[:num_used_steps]
        for h, before, fed in reversed(steps) if reverse else steps:
            if fed is h:
                self.compound_dot(W_recur, before, h, beta=1.0)
                h[:] = activation(h + bias)
            else:
                self.compound_dot(W_recur, before, h)
                h[:] = activation(h + fed + bias)

    def compound_rnn_unroll_bprop(
        self,
        W_recur: Tensor,
        delta_prev_s: Steps,
        delta_s: Steps,
        h_s: Steps,
        nout: int,
        num_steps: int,
        num_used_steps: int | None,
        activation: Any,
        reverse: bool = True,
    ) -> None:
        """The errors before the activation, each with what the step after it passes back."""
        steps = list(zip(h_s[:num_used_steps], delta_s, delta_prev_s, strict=False))
        for h, deltas, before in reversed(steps) if reverse else steps:
            deltas[:] = activation.bprop(h) * deltas
            self.compound_dot(W_recur, deltas, before, beta=1.0)
