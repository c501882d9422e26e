"""Lists of layers that are made together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anode.frontends.neon.layers.base import CompoundLayer, Layer
from anode.frontends.neon.layers.dense import BinaryLinear, Linear
from anode.frontends.neon.layers.images import Convolution, Convolution_bias, Deconvolution
from anode.frontends.neon.layers.normalization import BatchNorm, ShiftBatchNorm


class Affine(CompoundLayer):
    """Linear, then Bias or BatchNorm, then Activation."""

    def __init__(
        self,
        nout: int,
        init: Any,
        bias: Any = None,
        batch_norm: bool = False,
        activation: Any = None,
        name: str | None = None,
        parallelism: str = "Disabled",
    ) -> None:
        super().__init__(bias, batch_norm, activation, name)
        self.append(Linear(nout, init, bsum=batch_norm, name=name, parallelism=parallelism))
        self.add_postfilter_layers()


class BinaryAffine(CompoundLayer):
    """BinaryLinear, then Bias or ShiftBatchNorm, then Activation."""

    def __init__(
        self,
        nout: int,
        init: Any,
        bias: Any = None,
        batch_norm: bool = False,
        activation: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(bias, batch_norm, activation, name)
        self.append(BinaryLinear(nout, init, bsum=batch_norm, name=name))
        self.add_postfilter_layers()

    def followers(self) -> Iterator[Layer]:
        if self.batch_norm:
            yield ShiftBatchNorm(name=f"{self.base_name}_sbnorm")
        else:
            yield from super().followers()


class Conv(CompoundLayer):
    """Convolution, with a bias of its own, or then BatchNorm; then Activation."""

    def __init__(
        self,
        fshape: Any,
        init: Any,
        strides: Any = {},  # noqa: B006 (part of descriptions)
        padding: Any = {},  # noqa: B006
        dilation: Any = {},  # noqa: B006
        bias: Any = None,
        batch_norm: bool = False,
        activation: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(bias, batch_norm, activation, name)
        sizes = {"strides": strides, "padding": padding, "dilation": dilation}
        common = {"init": init, "bsum": batch_norm, "name": name, **sizes}
        if bias is None:
            self.append(Convolution(fshape, **common))
        else:
            self.append(Convolution_bias(fshape, bias=bias, **common))
        self.add_postfilter_layers()

    def followers(self) -> Iterator[Layer]:
        if self.batch_norm:
            yield BatchNorm(name=f"{self.base_name}_bnorm")


class Deconv(CompoundLayer):
    """Deconvolution, then Bias or BatchNorm, then Activation."""

    def __init__(
        self,
        fshape: Any,
        init: Any,
        strides: Any = {},  # noqa: B006
        padding: Any = {},  # noqa: B006
        dilation: Any = {},  # noqa: B006
        bias: Any = None,
        batch_norm: bool = False,
        activation: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(bias, batch_norm, activation, name)
        self.append(
            Deconvolution(
                fshape,
                strides=strides,
                padding=padding,
                dilation=dilation,
                init=init,
                bsum=batch_norm,
            )
        )
        self.add_postfilter_layers()
