"""BeamSearch: the likeliest outputs of a Seq2Seq, with some hypotheses kept at each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anode.frontends.neon import NervanaObject

if TYPE_CHECKING:
    from anode.frontends.neon.backends.tensor import Tensor


class BeamSearch(NervanaObject):
    """Searches with a trained Seq2Seq; the sums of logarithms of its outputs are the scores."""

    def __init__(self, seq2seq: Any) -> None:
        super().__init__()
        self.layers, self.hasLUT = seq2seq, seq2seq.hasLUT
        seq2seq.decoder.switch_mode(inference=True)

    def beamsearch(self, inputs: Any, num_beams: int = 5, steps: int | None = None) -> Tensor:
        """The best tokens (steps, batch) for a minibatch; by default as many steps as in training.

        `candidates` and `scores` have all hypotheses, the best last.
        """
        layers, batch = self.layers, self.be.bsz
        steps = layers.in_shape[1] if steps is None else steps
        layers.encoder.fprop(inputs, inference=True)
        given = layers.encoder.get_final_states(layers.decoder_connections)
        recurrent = layers.decoder._recurrent
        if len(given) != len(recurrent):
            raise ValueError(
                f"number of decoder layers ({len(recurrent)}) does not match the number of "
                f"decoder connections ({len(given)})."
            )
        states = [np.stack([self._state(i, state) for i, state in enumerate(given)])]
        said = np.zeros((1, 0, batch), np.int64)
        scores = np.zeros((1, batch))
        for _ in range(steps):
            found = [self._advance(*pair) for pair in zip(said, states, strict=True)]
            ends = np.stack([after for _, after in found])  # (hypotheses, layers, n, batch)
            scores, parent, token = best(scores, [values for values, _ in found], num_beams)
            rows = np.arange(batch)
            said = np.concatenate([said[parent, :, rows].swapaxes(1, 2), token[:, None]], axis=1)
            states = list(ends[parent, :, :, rows].transpose(0, 2, 3, 1))
        self.candidates, self.scores = list(said), list(scores)
        return self.be.array(said[-1])

    def _state(self, place: int, given: Tensor | None) -> np.ndarray:
        layer = self.layers.decoder._recurrent[place]
        return np.zeros(layer.final_state().shape) if given is None else given.get()

    def _advance(self, said: np.ndarray, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The outputs (tokens, batch) after what was said, and the decoder's states."""
        decoder = self.layers.decoder
        given = [self.be.array(state) for state in states]
        output = decoder.fprop(self._input(said), inference=True, init_state_list=given)
        return output.get(), np.stack([x.final_state().get() for x in decoder._recurrent])

    def _input(self, said: np.ndarray) -> Tensor:
        """The decoder's input after what was said: a token, or its one-hot column."""
        start = self.layers.decoder.start_index
        batch = self.be.bsz
        if self.hasLUT:
            tokens = said[-1] if len(said) else np.full(batch, start or 0)
            return self.be.array(tokens.reshape(1, -1), dtype=np.int32)
        columns = np.zeros((self.layers.out_shape[0], batch))
        if len(said):
            columns[said[-1], np.arange(batch)] = 1
        elif start is not None:
            columns[start] = 1
        return self.be.array(columns)


def best(
    scores: np.ndarray, outputs: list[np.ndarray], beams: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best continuations, the best last: scores, hypotheses, tokens, each (beams, batch)."""
    with np.errstate(divide="ignore"):
        totals = np.stack([np.log(z) + s for z, s in zip(outputs, scores, strict=True)])
    hypotheses, tokens, batch = totals.shape
    flat = totals.reshape(hypotheses * tokens, batch)
    order = flat.argsort(axis=0, kind="stable")[-beams:]
    return np.take_along_axis(flat, order, axis=0), order // tokens, order % tokens
