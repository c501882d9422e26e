"""Shapes: the answers of TensorFlow 1.15 itself, recorded."""

import copy

import pytest

from anode.frontends.tensorflow import tensor_shape
from anode.frontends.tensorflow.tensor_shape import Dimension as D
from anode.frontends.tensorflow.tensor_shape import TensorShape as T

RECORDED = """
T(None) => TensorShape(None)
str(T(None)) => '<unknown>'
T([]) => TensorShape([])
str(T([])) => '()'
T([None, 3]) => TensorShape([Dimension(None), Dimension(3)])
str(T([None, 3])) => '(?, 3)'
str(T([3])) => '(3,)'
T(3) => TensorShape([Dimension(3)])
T([3, 4])[0] => Dimension(3)
T([3, 4])[1:] => TensorShape([Dimension(4)])
T(None)[0] => Dimension(None)
T(None)[0:2] => TensorShape([Dimension(None), Dimension(None)])
T(None)[1:] => TensorShape(None)
T([1, 2])[-1] => Dimension(2)
T([1, 2]) == [1, 2] => True
T([1, None]) == [1, None] => False
T([1, None]) != T([1, None]) => True
T(None) == T(None) => True
T(None) == None => True
T([1]) == None => False
[1, 2] == T([1, 2]) => True
T([1, 2]) == 'a' => False
len(T([1, 2])) => 2
list(T([1, None])) => [Dimension(1), Dimension(None)]
bool(T(None)), bool(T([])) => (False, True)
T([None]).as_list() => [None]
T([2, None]).num_elements() => None
T([2, 3]).num_elements() => 6
T([]).num_elements() => 1
T([2, 3]).ndims, T(None).ndims, T([2]).rank => (2, None, 1)
T([2]).dims, T(None).dims => ([Dimension(2)], None)
T([2, None]).merge_with([None, 3]) => TensorShape([Dimension(2), Dimension(3)])
T([2]).concatenate([3, 4]) => TensorShape([Dimension(2), Dimension(3), Dimension(4)])
T([2]).concatenate(None) => TensorShape(None)
T([2]) + [3] => TensorShape([Dimension(2), Dimension(3)])
[2] + T([3]) => TensorShape([Dimension(2), Dimension(3)])
T(None).with_rank(2) => TensorShape([Dimension(None), Dimension(None)])
T([None, 2]).is_compatible_with([3, 2]) => True
T([None, 2]).is_fully_defined() => False
T([2, 3]).most_specific_compatible_shape([2, 4]) => TensorShape([Dimension(2), Dimension(None)])
T([2, 3]).most_specific_compatible_shape([2]) => TensorShape(None)
D(3) => Dimension(3)
str(D(3)), str(D(None)) => ('3', '?')
D(3) + D(4) => Dimension(7)
4 + D(3) => Dimension(7)
5 - D(3) => Dimension(2)
D(7) // 2 => Dimension(3)
7 // D(2) => Dimension(3)
D(7) % 2 => Dimension(1)
D(3) * None => Dimension(None)
D(3) == 3 => True
D(3) == None => None
D(None) == None => None
D(None) != None => None
D(3) < 4 => True
D(3) < None => None
int(D(3)) => 3
list(range(D(3))) => [0, 1, 2]
D('3') => Dimension(3)
D(3.0) => Dimension(3)
D(None).merge_with(4) => Dimension(4)
D(3).is_compatible_with(None) => True
D(True) => Dimension(1)
"""
REFUSED = """
T([1, 2])[5] !! IndexError list index out of range
T(None) != T(None) !! ValueError The inequality of unknown TensorShapes is undefined.
len(T(None)) !! ValueError Cannot take the length of shape with unknown rank.
list(T(None)) !! ValueError Cannot iterate over a shape with unknown rank.
T(None).as_list() !! ValueError as_list() is not defined on an unknown TensorShape.
T([2, None]).merge_with([3, 3]) !! ValueError Shapes (2, ?) and (3, 3) are not compatible
T([2]).with_rank(2) !! ValueError Shape (2,) must have rank 2
T([2]).with_rank_at_least(2) !! ValueError Shape (2,) must have rank at least 2
T([2, 3, 4]).with_rank_at_most(2) !! ValueError Shape (2, 3, 4) must have rank at most 2
T([2]).assert_has_rank(2) !! ValueError Shape (2,) must have rank 2
T([2]).assert_same_rank([2, 3]) !! ValueError Shapes (2,) and (2, 3) must have the same rank
T([None, 2]).assert_is_fully_defined() !! ValueError Shape (?, 2) is not fully defined
D(7)/2 !! TypeError unsupported operand type(s) for /: 'Dimension' and 'int', please use // instead
7/D(2) !! TypeError unsupported operand type(s) for /: 'int' and 'Dimension', please use // instead
int(D(None)) !! TypeError __int__ returned non-int (type NoneType)
D(-1) !! ValueError Dimension -1 must be >= 0
D(3.5) !! ValueError Ambiguous dimension: 3.5
hash(D(3)) !! TypeError unhashable type: 'Dimension'
hash(T([1])) !! TypeError unhashable type: 'TensorShape'
D(3).merge_with(4) !! ValueError Dimensions 3 and 4 are not compatible
D(3) * 2.5 !! TypeError unsupported operand type(s) for *: 'Dimension' and 'float'
"""


@pytest.mark.parametrize("line", RECORDED.strip().splitlines())
def test_values(line):
    expression, _, expected = line.partition(" => ")
    assert repr(eval(expression)) == expected


@pytest.mark.parametrize("line", REFUSED.strip().splitlines())
def test_errors(line):
    expression, _, expected = line.partition(" !! ")
    with pytest.raises((TypeError, ValueError, IndexError)) as caught:
        eval(expression)
    assert f"{type(caught.value).__name__} {caught.value}" == expected


@pytest.mark.parametrize("dims", [None, [], [2, None, 3]])
def test_messages_and_copies(dims):
    shape = T(dims)
    assert repr(T(shape.as_proto())) == repr(shape) == repr(copy.deepcopy(shape))


def test_functions_of_the_module():
    assert tensor_shape.matrix(2, 3).as_list() == [2, 3]
    assert tensor_shape.scalar().rank == 0 and tensor_shape.vector(4).as_list() == [4]
    assert tensor_shape.unknown_shape().rank is None and tensor_shape.unknown_shape(2).rank == 2
    assert tensor_shape.dimension_value(D(3)) == 3 == tensor_shape.dimension_value(3)
    assert tensor_shape.dimension_at_index(T(None), 1).value is None
