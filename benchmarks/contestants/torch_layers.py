"""The layers of `benchmarks.nets` as PyTorch modules, their weights set."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks import nets


def sequence(
    layers: tuple[nets.Layer, ...], shape: nets.Shape, arrays: nets.Arrays, path: str = ""
) -> nn.Sequential:
    """The layers one after another, for images of `shape`."""
    modules: list[nn.Module] = []
    for index, layer in enumerate(layers):
        if isinstance(layer, (nets.Affine, nets.GlobalPool)) and len(shape) == 3:
            if isinstance(layer, nets.GlobalPool):
                modules.append(nn.AdaptiveAvgPool2d(1))
            modules.append(nn.Flatten())
        if not isinstance(layer, nets.GlobalPool):
            modules.append(_module(layer, shape, arrays, f"{path}{index}"))
        shape = nets.output_shape(layer, shape)
    return nn.Sequential(*modules)


def _module(layer: nets.Layer, shape: nets.Shape, arrays: nets.Arrays, name: str) -> nn.Module:
    match layer:
        case nets.Conv(filters, kernel, stride, padding, bias):
            made = nn.Conv2d(shape[2], filters, kernel, stride, padding, bias=bias)
            return _weighted(
                made, arrays, name, torch.from_numpy(arrays[f"{name}.weight"]).permute(3, 2, 0, 1)
            )
        case nets.BatchNorm():
            return _weighted(nn.BatchNorm2d(shape[-1]), arrays, name)
        case nets.Affine(units):
            weight = torch.from_numpy(arrays[f"{name}.weight"])
            if len(shape) == 3:  # rows are in the order height, width, channel; here channels lead
                weight = weight.reshape(*shape, units).permute(2, 0, 1, 3).reshape(-1, units)
            return _weighted(nn.Linear(len(weight), units), arrays, name, weight.T)
        case nets.Relu():
            return nn.ReLU(inplace=True)
        case nets.MaxPool(kernel, stride):
            return nn.MaxPool2d(kernel, stride)
        case nets.Residual(body, shortcut):
            inner = sequence(body, shape, arrays, f"{name}.body.")
            return Sum(inner, sequence(shortcut, shape, arrays, f"{name}.shortcut."))
    raise ValueError(f"no module for {layer}")


def _weighted(
    module: nn.Module, arrays: nets.Arrays, name: str, weight: Tensor | None = None
) -> nn.Module:
    """The module with its parameters set; `weight` replaces the array of that name."""
    with torch.no_grad():
        for kind, parameter in module.named_parameters():
            given = torch.from_numpy(arrays[f"{name}.{kind}"])
            parameter.copy_(weight if kind == "weight" and weight is not None else given)
    return module


class Sum(nn.Module):
    """Two branches on one input, added."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.body(x) + self.shortcut(x))
