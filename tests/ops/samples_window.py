"""Samples of windows and of what is made of them."""

from __future__ import annotations

import numpy as np

from anode.ir.dtypes import bf16
from tests.ops.sample import Sample
from tests.ops.samples_tensor import ints, normal

SAMPLES: dict[str, list[Sample]] = {
    "windows": [
        Sample([normal(2, 7, 6, 3)], {"axes": (1, 2), "sizes": (3, 2), "strides": (2, 1)}),
        Sample([normal(9, 4)], {"axes": (0,), "sizes": (3,), "dilations": (2,)}),
        Sample([normal(2, 5)], {"axes": (1,), "sizes": (3,)}),
        Sample([normal(6)], {"axes": (-1,), "sizes": (2,), "strides": (3,)}),
        Sample([normal(1, 4, 4, 4, 2)], {"axes": (1, 2, 3), "sizes": (2, 2, 2)}),
        Sample([normal(0, 4, 3)], {"axes": (1,), "sizes": (2,)}),
        Sample([normal(3, 5, 2)], {"axes": (), "sizes": ()}),
        Sample([normal(5, 20, dtype=np.float32)], {"axes": (0,), "sizes": (2,)}),
        Sample([normal(2, 5, 3, dtype=bf16)], {"axes": (1,), "sizes": (3,), "strides": (2,)}),
        Sample([ints(4, 6, dtype=np.int8)], {"axes": (0, 1), "sizes": (2, 3)}),
    ],
    "overlap_add": [
        Sample(
            [normal(2, 3, 5, 3, 2, 3)],
            {"lengths": (8, 6), "axes": (1, 2), "sizes": (3, 2), "strides": (2, 1)},
        ),
        Sample(
            [normal(5, 3, 4)], {"lengths": (9,), "axes": (0,), "sizes": (3,), "dilations": (2,)}
        ),
        Sample([normal(2, 3, 3)], {"lengths": (5,), "axes": (1,), "sizes": (3,)}),
        Sample([normal(2, 2)], {"lengths": (6,), "axes": (0,), "sizes": (2,), "strides": (3,)}),
        Sample([normal(0, 3, 2, 3)], {"lengths": (4,), "axes": (1,), "sizes": (2,)}),
        Sample(
            [normal(4, 2, 20, dtype=np.float32)], {"lengths": (5,), "axes": (0,), "sizes": (2,)}
        ),
        Sample(
            [normal(2, 2, 3, 3, dtype=bf16)],
            {"lengths": (5,), "axes": (1,), "sizes": (3,), "strides": (2,)},
        ),
        Sample([ints(3, 4, 2, 3, 1)], {"lengths": (4, 6), "axes": (0, 1), "sizes": (2, 3)}),
    ],
}
