"""Convolution by its formula in NumPy, and the axes of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from anode.frontends.ngraph.op_graph.axis import Axes, Axis

Sizes = tuple[int, ...]


def _taps(params: Mapping[str, int], kernel: Sizes, out: Sizes) -> Iterator[tuple[Any, Any]]:
    """For each tap of filters: the tap in these, and the elements of images that it meets."""
    for tap in np.ndindex(*kernel):
        part = [slice(None)]
        for dim, place, count in zip("dhw", tap, out, strict=True):
            start, stride = place * params[f"dil_{dim}"], params[f"str_{dim}"]
            part.append(slice(start, start + (count - 1) * stride + 1, stride))
        yield (slice(None), *tap), tuple(part)


def _padded(image: np.ndarray, params: Mapping[str, int]) -> np.ndarray:
    pads = [(params[f"pad_{dim}"],) * 2 for dim in "dhw"]
    return np.pad(np.asarray(image, np.float32), [(0, 0), *pads, (0, 0)])


def _inside(padded: np.ndarray, params: Mapping[str, int]) -> np.ndarray:
    pads = [params[f"pad_{dim}"] for dim in "dhw"]
    sizes = padded.shape[1:4]
    return padded[(slice(None), *[slice(p, n - p) for p, n in zip(pads, sizes, strict=True)])]


def reference_conv(
    dimI: Sizes,
    dimF: Sizes,
    dimO: Sizes,
    conv_params: Mapping[str, int],
    valI: np.ndarray,
    valF: np.ndarray,
    valE: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A convolution (K, M, P, Q, N), and its derivatives by images and filters for the error valE.

    Images are (C, D, H, W, N), filters (C, T, R, S, K).
    """
    image, error = _padded(valI.reshape(dimI), conv_params), valE.reshape(dimO)
    filters = valF.reshape(dimF)
    out, by_image = np.zeros(dimO, np.float32), np.zeros_like(image)
    by_filters = np.zeros(dimF, np.float32)
    for at, window in _taps(conv_params, dimF[1:4], dimO[1:4]):
        out += np.einsum("ck,cdhwn->kdhwn", filters[at], image[window])
        by_image[window] += np.einsum("ck,kdhwn->cdhwn", filters[at], error)
        by_filters[at] = np.einsum("cdhwn,kdhwn->ck", image[window], error)
    return out, _inside(by_image, conv_params), by_filters


def reference_deconv_fprop(
    conv_params: Mapping[str, int], valI: np.ndarray, valF: np.ndarray
) -> np.ndarray:
    """A transposed convolution of images (C, M, P, Q, N) with filters (K, T, R, S, C)."""
    image, filters = np.asarray(valI), np.asarray(valF)
    sizes = [
        k + (m + conv_params[f"pad_{dim}"] - 1) * conv_params[f"str_{dim}"]
        for dim, k, m in zip("dhw", filters.shape[1:4], image.shape[1:4], strict=True)
    ]
    out = _padded(np.zeros((filters.shape[0], *sizes, image.shape[-1])), conv_params)
    for at, window in _taps(conv_params, filters.shape[1:4], image.shape[1:4]):
        out[window] += np.einsum("kc,cdhwn->kdhwn", filters[at], image)
    return _inside(out, conv_params)


def reference_deconv_bprop(
    conv_params: Mapping[str, int], valE: np.ndarray, valI: np.ndarray, valF: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The derivatives of a transposed convolution by images and filters, for the error valE."""
    error, image, filters = _padded(valE, conv_params), np.asarray(valI), np.asarray(valF)
    by_image, by_filters = np.zeros(image.shape, np.float32), np.zeros(filters.shape, np.float32)
    for at, window in _taps(conv_params, filters.shape[1:4], image.shape[1:4]):
        by_image += np.einsum("kc,kdhwn->cdhwn", filters[at], error[window])
        by_filters[at] = np.einsum("kdhwn,cdhwn->kc", error[window], image)
    return by_image, by_filters


class ConvParams:
    """The sizes, parameters and axes of a convolution: `ax_i`, `ax_f` and `ax_o`.

    Images have C channels of sizes D, H, W; K filters have sizes T, R, S. With `deconv` the sizes
    of the result are those of a transposed convolution.
    """

    def __init__(
        self,
        C: int = 1,
        N: int = 1,
        K: int = 1,
        D: int = 1,
        H: int = 1,
        W: int = 1,
        T: int = 1,
        R: int = 1,
        S: int = 1,
        pad_d: int = 0,
        pad_h: int = 0,
        pad_w: int = 0,
        str_d: int = 1,
        str_h: int = 1,
        str_w: int = 1,
        dil_d: int = 1,
        dil_h: int = 1,
        dil_w: int = 1,
        deconv: bool = False,
    ) -> None:
        image, kernel = (D, H, W), (T, R, S)
        pads, strides = (pad_d, pad_h, pad_w), (str_d, str_h, str_w)
        dilations = (dil_d, dil_h, dil_w)
        out = _deconv_sizes if deconv else _conv_sizes
        self.dimI = (C, *image, N)
        self.dimF = (K, *kernel, C) if deconv else (C, *kernel, K)
        self.dimO = (K, *out(image, kernel, pads, strides, dilations), N)
        self.conv_params = {
            f"{what}_{dim}": value
            for what, values in (("pad", pads), ("str", strides), ("dil", dilations))
            for dim, value in zip("dhw", values, strict=True)
        }
        batch = Axis(N, "N")
        self.ax_i, self.ax_f, self.ax_o = (
            Axes([*[Axis(n, name) for name, n in zip("CDHW", dims, strict=False)], last])
            for dims, last in (
                (self.dimI, batch),
                (self.dimF, Axis(self.dimF[-1], "K")),
                (self.dimO, batch),
            )
        )


def _conv_sizes(
    image: Sizes, kernel: Sizes, pads: Sizes, strides: Sizes, dilations: Sizes
) -> Sizes:
    each = zip(image, kernel, pads, strides, dilations, strict=True)
    return tuple([(n + 2 * p - (d * (k - 1) + 1)) // s + 1 for n, k, p, s, d in each])


def _deconv_sizes(
    image: Sizes, kernel: Sizes, pads: Sizes, strides: Sizes, dilations: Sizes
) -> Sizes:
    each = zip(image, kernel, pads, strides, dilations, strict=True)
    return tuple([s * (n - 1) + d * (k - 1) + 1 - 2 * p for n, k, p, s, d in each])
