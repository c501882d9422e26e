"""Initialisers: what weights begin with, drawn from the backend's generator in neon's order."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.neon import NervanaObject
from anode.frontends.neon.backends.tensor import Tensor


class Initializer(NervanaObject):
    """Fills a tensor."""

    def fill(self, param: Tensor) -> None:
        """Let `param` have its first values."""
        raise NotImplementedError()


class Constant(Initializer):
    """A number everywhere, or an array of the tensor's shape."""

    def __init__(self, val: Any = 0.0, name: str = "constantInit") -> None:
        super().__init__(name=name)
        self.val = val

    def fill(self, param: Tensor) -> None:
        if isinstance(self.val, (Tensor, np.ndarray)) and self.val.shape != param.shape:
            raise ValueError(
                f"{self.name}: an array of shape {self.val.shape} cannot fill {param.shape}"
            )
        param[:] = self.val


class Array(Constant):
    """An array of the tensor's shape."""

    def get_description(self, **kwargs: Any) -> dict[str, Any]:
        """The description, the array in place of a tensor."""
        found = super().get_description(**kwargs)
        value = found["config"].get("val")
        if isinstance(value, Tensor):
            found["config"]["val"] = value.get()
        return found


class Uniform(Initializer):
    """Evenly from low to high."""

    def __init__(self, low: float = 0.0, high: float = 1.0, name: str = "uniformInit") -> None:
        super().__init__(name=name)
        self.low, self.high = low, high

    def fill(self, param: Tensor) -> None:
        param[:] = self.be.rng.uniform(self.low, self.high, param.shape)


class Gaussian(Initializer):
    """Normally about loc, with the standard deviation scale."""

    def __init__(self, loc: float = 0.0, scale: float = 1.0, name: str = "gaussianInit") -> None:
        super().__init__(name=name)
        self.loc, self.scale = loc, scale

    def fill(self, param: Tensor) -> None:
        param[:] = self.be.rng.normal(self.loc, self.scale, param.shape)


class GlorotUniform(Initializer):
    """Evenly within ±√(6 / (both sizes together)). Source: Glorot and Bengio 2010."""

    def __init__(self, name: str = "autouniformInit") -> None:
        super().__init__(name=name)

    def fill(self, param: Tensor) -> None:
        bound = np.sqrt(6.0 / (param.shape[0] + param.shape[1]))
        param[:] = self.be.rng.uniform(-bound, bound, param.shape)


class _Fans(Initializer):
    """What depends on the inputs of each unit: the rows of `local` weights, else the columns."""

    def __init__(self, local: bool = True, name: str | None = None) -> None:
        super().__init__(name=name)
        self.local = local

    def inputs(self, param: Tensor) -> int:
        """The number of inputs of a unit."""
        return param.shape[0 if self.local else 1]


class Xavier(_Fans):
    """Evenly within ±√(3 / inputs)."""

    def __init__(self, local: bool = True, name: str = "xavier") -> None:
        super().__init__(local, name)

    def fill(self, param: Tensor) -> None:
        bound = np.sqrt(3.0 / self.inputs(param))
        param[:] = self.be.rng.uniform(-bound, bound, param.shape)


class Kaiming(_Fans):
    """Normally, with the variance 2 / inputs. Source: He et al. 2015."""

    def __init__(self, local: bool = True, name: str = "Kaiming") -> None:
        super().__init__(local, name)

    def fill(self, param: Tensor) -> None:
        scale = np.sqrt(2.0 / self.inputs(param))
        param[:] = self.be.rng.normal(0, scale, param.shape)


class IdentityInit(_Fans):
    """The unit matrix, in the first columns."""

    def __init__(self, local: bool = True, name: str = "Identity") -> None:
        super().__init__(local, name)

    def fill(self, param: Tensor) -> None:
        param[:] = np.eye(*param.shape, dtype=np.float32)


class Orthonormal(Initializer):
    """Orthonormal rows or columns, times scale; from NumPy's global generator, as in neon."""

    def __init__(self, scale: float = 1.1, name: str = "orthonormal") -> None:
        super().__init__(name=name)
        self.scale = scale

    def fill(self, param: Tensor) -> None:
        drawn = np.random.normal(0.0, 1.0, param.shape)
        u, _, v = np.linalg.svd(drawn, full_matrices=False)
        param[:] = self.scale * (u if u.shape == param.shape else v)
