"""Types: TensorFlow 1.15's numbers, names and conversions."""

import copy
import pickle

import numpy as np
import pytest

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow import dtypes
from anode.frontends.tensorflow.dtypes import DTYPES, DType, as_dtype, float32, from_anode
from anode.ir.dtypes import DTYPES as IR_DTYPES


@pytest.mark.parametrize(
    ("name", "number", "size"),
    [
        ("float32", 1, 4),
        ("float64", 2, 8),
        ("int32", 3, 4),
        ("string", 7, 8),
        ("complex64", 8, 8),
        ("bool", 10, 1),
        ("qint8", 11, 1),
        ("bfloat16", 14, 2),
        ("float16", 19, 2),
        ("resource", 20, 1),
        ("variant", 21, 1),
        ("uint64", 23, 8),
    ],
)
def test_numbers_and_sizes(name, number, size):
    dtype = getattr(dtypes, name)
    assert (dtype.as_datatype_enum, dtype.name, dtype.size) == (number, name, size)
    assert (repr(dtype), str(dtype)) == (f"tf.{name}", f"<dtype: '{name}'>")
    assert DType(number) is dtype and as_dtype(number) is dtype and as_dtype(name) is dtype


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (float, "float32"),
        (bool, "bool"),
        (object, "string"),
        (np.float32, "float32"),
        (np.dtype(">i4"), "int32"),
        (np.dtype("S3"), "string"),
        (np.str_, "string"),
        ("half", "float16"),
        ("float", "float32"),
        ("float_ref", "float32_ref"),
        (101, "float32_ref"),
        (np.zeros(2, np.int8), "int8"),
    ],
)
def test_as_dtype(spec, name):
    assert as_dtype(spec).name == name


@pytest.mark.parametrize("spec", [int, str, bytes, complex, "int", "foo", None, 0, 1000, 1.5, True])
def test_as_dtype_refuses_what_tensorflow_refuses(spec):
    with pytest.raises(TypeError, match="to a TensorFlow DType"):
        as_dtype(spec)


def test_equality_is_with_whatever_converts():
    assert float32 == np.float32 and float32 == "float32" and float32 == 1
    assert np.dtype("float32") == float32
    assert float32 != dtypes.float64 and float32 != "foo" and float32 is not None
    assert (float32 == None) is False  # noqa: E711
    assert float32 != float32._as_ref
    assert len({float32, as_dtype("float")}) == 1


def test_references():
    ref = float32._as_ref
    assert ref.name == "float32_ref" and ref._is_ref_dtype and ref.base_dtype is float32
    assert float32.is_compatible_with(ref) and dtypes.float32_ref is ref
    assert ref.as_numpy_dtype is np.float32 and ref.is_floating


def test_kinds():
    floating = {n for n, d in DTYPES.items() if d.is_floating and not d._is_ref_dtype}
    assert floating == {"float16", "float32", "float64", "bfloat16"}
    assert dtypes.uint8.is_integer and dtypes.uint8.is_unsigned and not dtypes.qint8.is_integer
    assert dtypes.qint8.is_quantized and dtypes.complex64.real_dtype is float32
    assert dtypes.bool.is_bool and not dtypes.bool.is_integer


def test_extremes():
    assert float32.max == np.finfo(np.float32).max and float32.min == -float32.max
    assert (dtypes.int8.min, dtypes.int8.max) == (-128, 127)
    assert dtypes.bfloat16.max == pytest.approx(3.38953139e38)
    assert (float32.limits, dtypes.uint8.limits) == ((0, 1), (0, 255))
    with pytest.raises(TypeError, match="Cannot find maximum value of <dtype: 'string'>"):
        _ = dtypes.string.max


def test_anode_types_and_back():
    for name, dtype in IR_DTYPES.items():
        assert from_anode(dtype).anode is dtype, name
    assert as_dtype(IR_DTYPES["f32"]) is float32
    with pytest.raises(UnsupportedOp, match=r"tf\.string"):
        _ = dtypes.string.anode


def test_copies_are_the_same_object():
    assert pickle.loads(pickle.dumps(dtypes.half)) is dtypes.float16
    assert copy.deepcopy(dtypes.string) is dtypes.string


def test_unknown_numbers_and_names():
    with pytest.raises(TypeError, match="not a valid types_pb2"):
        DType(77)
    with pytest.raises(AttributeError, match="float33"):
        _ = dtypes.float33
