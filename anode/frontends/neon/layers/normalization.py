"""Batch normalisation of each map (of images) or row (of features and sequences)."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.neon.backends.autodiff import Autodiff
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.layers.base import (
    Layer,
    interpret_in_shape,
    set_pairs_of_states,
    take_up,
)


class BatchNorm(Layer):
    """(x − mean) / √(variance + eps) · gamma + beta.

    Training uses the minibatch's mean and biased variance, and lets the running ones, which
    inference uses, become rho · running + (1 − rho) · batch; they begin at 0. `binary` multiplies
    by powers of two only.
    """

    def __init__(
        self, rho: float = 0.9, eps: float = 1e-3, name: str | None = None, binary: bool = False
    ) -> None:
        super().__init__(name)
        self.rho, self.eps, self.binary = rho, eps, binary
        self.has_params = self.owns_delta = self.is_mklop = True
        self.relu = False
        self.states: list[list[Tensor]] = [[], []]
        self.allparams: Any = None
        self.beta: Any = None
        self.gamma: Any = None
        self.gmean: Any = None
        self.gvar: Any = None
        self.stats_dtype = np.float64 if self.be.default_dtype is np.float64 else np.float32

    def __str__(self) -> str:
        return (
            f"BatchNorm Layer '{self.name}': {self.nin} inputs, {self.nsteps} steps, "
            f"{self.nfm} feature maps"
        )

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.out_shape = self.in_shape
        self.nin, self.nsteps = interpret_in_shape(self.in_shape)
        self.nfm = self.in_shape[0] if isinstance(self.in_shape, tuple) else self.nin
        self.nglayer = self.be.batchnorm_layer(self.in_shape)
        return self

    def allocate(
        self, shared_outputs: Tensor | None = None, accumulate_updates: bool = False
    ) -> None:
        super().allocate(shared_outputs)
        self.y = self.outputs.reshape((self.nfm, -1))
        self.xsum = self.be.zeros((self.nfm, 1), dtype=self.stats_dtype)
        self.xvar = self.be.zeros((self.nfm, 1), dtype=self.stats_dtype)
        self.accumulate_updates = accumulate_updates
        self.compute_batch_sum = True
        if self.allparams is None:
            self.init_params(self.nfm)

    def init_params(self, dim0: int) -> None:
        """Make the scale gamma, the offset beta, and the running mean and variance."""
        be, shape = self.be, (dim0, 1)
        self.beta = be.zeros(shape, dtype=self.stats_dtype)
        self.gamma = be.ones(shape, dtype=self.stats_dtype)
        self.gmean = be.zeros(shape, dtype=self.stats_dtype)
        self.gvar = be.zeros(shape, dtype=self.stats_dtype)
        self._collect()
        if self.accumulate_updates:
            self.acc_grad_beta = be.empty_like(self.grad_beta)
            self.acc_grad_gamma = be.empty_like(self.grad_gamma)
            self.acc_params = [
                (self.acc_grad_beta, self.grad_beta),
                (self.acc_grad_gamma, self.grad_gamma),
            ]

    def _collect(self) -> None:
        self.params, self.inf_params = [self.beta, self.gamma], [self.gmean, self.gvar]
        self.allparams = self.params + self.inf_params
        self.grad_params = [self.be.zeros_like(p, dtype=p.dtype) for p in self.params]
        self.grad_beta, self.grad_gamma = self.grad_params

    @property
    def plist(self) -> list[Any]:
        """((parameter, gradient), states) of beta and gamma."""
        return [
            ((p, g), s) for p, g, s in zip(self.params, self.grad_params, self.states, strict=True)
        ]

    def fprop(self, inputs: Any, inference: bool = False, beta: float = 0.0) -> Any:
        self.inputs = inputs.reshape((self.nfm, -1))
        self.be.compound_fprop_bn(
            self.inputs,
            self.xsum,
            self.xvar,
            self.gmean,
            self.gvar,
            self.gamma,
            self.beta,
            self.y,
            self.eps,
            self.rho,
            self.compute_batch_sum,
            beta,
            self.relu,
            binary=self.binary,
            inference=inference,
            outputs=self.outputs,
            layer=self.nglayer,
        )
        return self.outputs

    @Layer.accumulates
    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        if alpha != 1.0 or beta != 0.0:
            raise ValueError(f"{self.name}: the error of batch normalisation is not blended")
        deltas = self.deltas if self.deltas is not None else self.be.empty_like(error)
        self.be.compound_bprop_bn(
            deltas,
            self.grad_gamma,
            self.grad_beta,
            error.reshape((self.nfm, -1)),
            self.inputs,
            self.xsum,
            self.xvar,
            self.gamma,
            self.eps,
            binary=self.binary,
            layer=self.nglayer,
        )
        return self.deltas

    def get_params(self) -> Any:
        return self.plist

    def get_params_serialize(self, keep_states: bool = True) -> dict[str, Any]:
        """The description with the parameters."""
        return self.get_description(get_weights=True, keep_states=keep_states)

    def get_description(
        self, get_weights: bool = False, keep_states: bool = True, **kwargs: Any
    ) -> dict[str, Any]:
        found = super().get_description()
        if get_weights:
            names = ("beta", "gamma", "gmean", "gvar")
            found["params"] = {name: getattr(self, name).get() for name in names}
            if keep_states:
                found["states"] = [[s.get() for s in part] for part in self.states]
        return found

    def set_params(self, pdict: dict[str, Any]) -> None:
        values = pdict["params"]
        if not isinstance(values, dict):  # files of neon 1.x
            values = dict(zip(("beta", "gamma", "gmean", "gvar"), values, strict=True))
        for key, value in values.items():
            take_up(self, key, value)
        self._collect()

    def set_states(self, pdict: dict[str, Any]) -> None:
        set_pairs_of_states(self, pdict)


class BatchNormAutodiff(BatchNorm):
    """Batch normalisation as an op-tree, with the gradients that Autodiff finds."""

    def __init__(self, rho: float = 0.99, eps: float = 1e-6, name: str | None = None) -> None:
        super().__init__(rho, eps, name)

    def get_forward_optree(self) -> Any:
        """The value, from `x`."""
        be, x = self.be, self.inputs
        normal = (x - be.mean(x, axis=1)) / be.sqrt(be.var(x, axis=1) + self.eps)
        return normal * self.gamma + self.beta

    def fprop(self, inputs: Any, inference: bool = False, beta: float = 0.0) -> Any:
        if inference:
            return super().fprop(inputs, inference, beta)
        be, rho = self.be, self.rho
        self.inputs = inputs.reshape((self.nfm, -1))
        self.fprop_op_tree = self.get_forward_optree()
        self.y[:] = self.fprop_op_tree
        self.gmean[:] = self.gmean * rho + (1.0 - rho) * be.mean(self.inputs, axis=1)
        self.gvar[:] = self.gvar * rho + (1.0 - rho) * be.var(self.inputs, axis=1)
        return self.outputs

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        if self.deltas is None:
            self.deltas = self.be.empty_like(error)
        found = Autodiff(self.fprop_op_tree, self.be, error.reshape((self.nfm, -1)))
        found.back_prop_grad(
            [self.inputs, self.gamma, self.beta], [self.deltas, self.grad_gamma, self.grad_beta]
        )
        return self.deltas


class ShiftBatchNorm(BatchNorm):
    """Batch normalisation by powers of two. Source: Courbariaux et al. 2016, BinaryNet."""

    def __init__(self, rho: float = 0.99, eps: float = 1e-6, name: str | None = None) -> None:
        super().__init__(rho, eps, name, binary=True)
