"""Blocked layouts: packing puts elements where the layout says, unpacking brings them back."""

from __future__ import annotations

import numpy as np
import pytest

from anode.backends.cpu.blocked import Blocked, dense
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate

LAYOUTS = [
    Blocked((32, 6), (32, 6), (0, 1), ((0, 16),)),
    Blocked((20, 6, 3), (32, 8, 3), (2, 0, 1), ((1, 4), (0, 16), (1, 2))),
    Blocked((5, 7), (5, 7), (1, 0)),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_unpack_undoes_pack(layout: Blocked) -> None:
    kind = tensor("f32", *layout.shape)
    x = np.arange(kind.size, dtype=np.float32).reshape(layout.shape) + 1  # type: ignore[arg-type]
    packed = trace(layout.pack, kind)
    assert packed.outputs[0].shape == layout.stored
    ((stored,), _) = evaluate(packed, [x])
    assert np.count_nonzero(stored) == x.size  # what is padded is zero
    ((back,), _) = evaluate(trace(layout.unpack, tensor("f32", *layout.stored)), [stored])
    assert np.array_equal(back, x)


def test_where_an_element_lies() -> None:
    layout = LAYOUTS[0]
    x = np.arange(32 * 6, dtype=np.float32).reshape(32, 6)
    ((stored,), _) = evaluate(trace(layout.pack, tensor("f32", 32, 6)), [x])
    assert stored.shape == (2, 6, 16) and stored[1, 4, 3] == x[19, 4]


def test_layouts_with_gaps_are_none() -> None:
    assert dense((4, 8), (4, 8), (8, 1), ()) == Blocked((4, 8), (4, 8), (0, 1))
    assert dense((4, 1), (4, 1), (1, 99), ()) == Blocked((4, 1), (4, 1), (1, 0))
    assert dense((4, 8), (4, 8), (9, 1), ()) is None
