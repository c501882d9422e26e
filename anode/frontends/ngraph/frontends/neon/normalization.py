"""Batch normalization and dropout."""

from __future__ import annotations

from typing import Any

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon.base import Layer, weight
from anode.frontends.ngraph.frontends.neon.graph import SubGraph
from anode.frontends.ngraph.op_graph.normalization import normalized


class BatchNorm(Layer):
    """γ·(x − mean) / √(variance + eps) + β (Ioffe and Szegedy, 2015).

    The statistics are over all axes but the channel's, or over the batch and time where there is
    none (Laurent et al., 2015). `gmean` and `gvar` follow them with the factor `rho`, and take
    their place in inference.
    """

    def __init__(
        self,
        rho: float = 0.9,
        eps: float = 1e-3,
        init_gamma: float = 1.0,
        init_beta: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.eps = eps
        self.init_rho = rho
        self.init_gamma = init_gamma
        self.init_beta = init_beta
        self.rho: Any = None
        self.gamma: Any = None
        self.beta: Any = None
        self.gmean: Any = None
        self.gvar: Any = None

    @SubGraph.scope_op_creation
    def __call__(self, in_obj: Any, **kwargs: Any) -> Any:
        axes = in_obj.axes
        if axes.channel_axis() is None:
            reduced = ng.make_axes(axes.recurrent_axis()) + axes.batch_axes()
        else:
            reduced = axes - axes.channel_axis()
        kept = axes - reduced
        if not self.initialized:
            self._make_weights(kept)
        x = ng.axes_with_order(in_obj, kept | reduced)
        if Layer.inference_mode:
            return self._normalized(x, self.gmean, self.gvar)
        y, mean, variance = normalized(x, self.gamma, self.beta, kept, self.eps)
        return ng.sequential(
            [
                ng.assign(self.gmean, self.gmean * self.rho + mean * (1.0 - self.rho)),
                ng.assign(self.gvar, self.gvar * self.rho + variance * (1.0 - self.rho)),
                y,
            ]
        )

    def _make_weights(self, axes: Any) -> None:
        self.gvar = ng.persistent_tensor(axes=axes, initial_value=1.0).named("gvar")
        self.gmean = ng.persistent_tensor(axes=axes, initial_value=0.0).named("gmean")
        self.gamma = weight(axes, self.init_gamma, "gamma")
        self.beta = weight(axes, self.init_beta, "beta", "bias")
        self._make_rho()

    def _make_rho(self) -> None:
        if self.rho is None:
            self.rho = ng.persistent_tensor(axes=(), initial_value=self.init_rho).named("rho")

    def _normalized(self, x: Any, mean: Any, variance: Any) -> Any:
        scaled = (x - mean) * ng.reciprocal(ng.sqrt(variance + self.eps))
        return self.gamma * scaled + self.beta

    @SubGraph.scope_op_creation
    def set_tuning_iteration(self, batch_index: Any) -> Any:
        """An op that sets rho to i / (i + 1), so that the statistics become plain means.

        After tuning, multiply gvar by rho to remove its bias.
        """
        self._make_rho()
        value = batch_index / (batch_index + 1.0)
        return ng.sequential([ng.assign(self.rho, value), value])


class Dropout(Layer):
    """Zeros with the probability 1 − keep in training; the input times `keep` in inference.

    Every sample of a batch has its own mask (the original had one for the whole batch).
    """

    def __init__(self, keep: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.keep = keep
        self.mask: Any = None

    @SubGraph.scope_op_creation
    def __call__(self, in_obj: Any, **kwargs: Any) -> Any:
        if Layer.inference_mode:
            return self.keep * in_obj
        noise = ng.persistent_tensor(axes=in_obj.axes).named("mask")
        self.mask = ng.uniform(noise, low=0.0, high=1.0) <= self.keep
        return self.mask * in_obj
