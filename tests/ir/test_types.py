import pytest

from anode.errors import ShapeError
from anode.ir.dims import Dim
from anode.ir.dtypes import DTYPES, bf16, dtype_of, f32
from anode.ir.types import TensorType, TokenType, TupleType, tensor, well_formed

N = Dim("n")


def test_text_of_types():
    assert repr(tensor("f32", 3, 2 * N)) == "f32[3,2*n]"
    assert repr(TensorType(f32, (8,), "blocked8")) == "f32[8]@blocked8"
    assert repr(TupleType((tensor("i8"), TokenType()))) == "(i8[], token)"


def test_sizes_of_static_and_symbolic_types():
    assert tensor("f64", 3, 4).bytes == 96 and tensor("bf16", 5).bytes == 10
    assert tensor("f32", N, 4).size == 4 * N and not tensor("f32", N).is_static
    with pytest.raises(ShapeError, match="bound first"):
        _ = tensor("f32", N).static


def test_binding_reaches_into_tuples():
    bound = TupleType((tensor("f32", N), tensor("i32", 2))).bind({"n": 7})
    assert bound == TupleType((tensor("f32", 7), tensor("i32", 2)))


@pytest.mark.parametrize("size", [-1, True, 2.0])
def test_sizes_that_are_not_well_formed(size):
    assert not well_formed(tensor("f32", size))
    assert not well_formed(TupleType((tensor("f32", 1), tensor("f32", size))))
    assert well_formed(TupleType((tensor("f32", 0, N), TokenType())))


def test_ranges_of_integer_types():
    assert (DTYPES["i8"].least, DTYPES["i8"].most) == (-128, 127)
    assert (DTYPES["u16"].least, DTYPES["u16"].most) == (0, 65535)
    assert (DTYPES["bool"].least, DTYPES["bool"].most) == (0, 1)


def test_element_types_by_name():
    assert dtype_of("bf16") is bf16 and dtype_of("float32") is f32
    with pytest.raises(ShapeError, match="no element type"):
        dtype_of("complex64")
