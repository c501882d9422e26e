"""Generators of 28×28 images from noise, and the networks that judge them. Source: Radford 2015."""

from __future__ import annotations

from typing import Any

from anode.frontends import layers as nn

NORMAL, LEAKY = nn.Gaussian(scale=0.02), nn.Rectlin(slope=0.2)


def generator(width: int = 64) -> list[Any]:
    """From noise (batch, any) to images (batch, 28, 28, 1) between −1 and 1."""
    relu = nn.Rectlin()
    grow: dict[str, Any] = {"strides": 2, "padding": 1}
    return [
        nn.Affine(7 * 7 * 2 * width, NORMAL, batch_norm=True, activation=relu),
        nn.Reshape((7, 7, 2 * width)),
        nn.Deconv((4, 4, width), NORMAL, batch_norm=True, activation=relu, **grow),
        nn.Deconv((4, 4, 1), NORMAL, bias=0.0, activation=nn.Tanh(), **grow),
    ]


def discriminator(width: int = 64) -> list[Any]:
    """From images to one logit: large where they look real."""
    return _judge(width, batch_norm=True)


def critic(width: int = 64) -> list[Any]:
    """From images to one number, without batch norm: each image's score is its own."""
    return _judge(width, batch_norm=False)


def _judge(width: int, *, batch_norm: bool) -> list[Any]:
    shrink: dict[str, Any] = {"strides": 2, "padding": 1, "activation": LEAKY}
    second: dict[str, Any] = {"batch_norm": True} if batch_norm else {"bias": 0.0}
    return [
        nn.Conv((4, 4, width), NORMAL, bias=0.0, **shrink),
        nn.Conv((4, 4, 2 * width), NORMAL, **second, **shrink),
        nn.Affine(1, NORMAL, bias=0.0),
    ]
