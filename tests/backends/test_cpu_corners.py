"""Corners of native code that no sample of a single op reaches."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from anode import ops
from anode.backends.cpu import position
from anode.backends.cpu.target import host_target
from anode.ir.dtypes import DTYPES, f32_to_bf16
from anode.ir.graph import Graph, close, fresh_inputs, trace
from anode.ir.node import Node, constant, read
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.ops.control import cond, fori_loop, scan, switch, while_loop
from tests.backends.agreement import Case, check, compiled, run
from tests.backends.process import run_python

RNG = np.random.default_rng(3)


def normal(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return RNG.normal(size=shape).astype(dtype)


def agrees(function: Callable[..., Any], *args: np.ndarray, threads: int = 1) -> None:
    graph = trace(function, *[tensor(arg.dtype, *arg.shape) for arg in args])
    check([Case("", graph, args)], threads)


# values
def test_outputs_that_are_inputs_constants_and_twice_the_same():
    table = constant(np.arange(6, dtype=np.float32))
    agrees(lambda x: (x, x, table, ops.exp(x), ops.exp(x), constant(2.0)), normal(5))


def test_variables_exchange_their_values():
    a, b = (Variable(name, tensor("f32", 4)) for name in "ab")
    graph = close([], [read(a) + read(b)], [(a, read(b)), (b, read(a))])
    state = {a: normal(4), b: normal(4)}
    check([Case("", graph, [], state=state)])


def test_one_operand_twice():
    agrees(lambda x: (x * x, x @ x, ops.concatenate(x, x, axis=1), ops.sum(x * x, 0)), normal(6, 6))


def test_large_constants_inside_loops():
    table = constant(normal(40, 3))

    def step(carry: Node, i: Node) -> tuple[Node, Node]:
        row = ops.take(table, i, axis=0)
        return carry + row, carry @ constant(normal(3, 2))

    agrees(lambda x, ids: scan(step, x, ids), normal(3), np.array([4, 39, 0, 7], np.int32))


@pytest.mark.parametrize("shape", [(9, 16), (17, 32), (33, 40), (65, 3)])
@pytest.mark.parametrize(
    ("source", "target"),
    [("i64", "i32"), ("u64", "i16"), ("i64", "u8"), ("i32", "i16"), ("u16", "u8"), ("f32", "bf16")],
)
def test_a_narrower_copy_of_one_lane_writes_no_more_than_its_place(source, target, shape):
    def function(x: Node) -> tuple[Node, Node]:
        turned = ops.transpose(x, permutation=(1, 0))
        return ops.convert(turned, dtype=target), turned

    values = np.arange(1, np.prod(shape) + 1).reshape(shape) % 100
    agrees(function, values.astype(DTYPES[source].numpy))


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (0,), (3, 0), (0, 3), (1, 0, 1)])
def test_small_and_empty_shapes(shape):
    def function(x: Node) -> tuple[Node, ...]:
        axes = tuple(range(len(shape)))
        found = [
            ops.exp(x) + x,
            ops.sum(x, axes),
            ops.prod(x, axes),
            ops.sum(x, ()),
            ops.where(x > 0, x, 0),
        ]
        found += [ops.sum(x, axis, keepdims=True) for axis in axes]
        found += [ops.cumsum(x, axis) for axis in axes]
        return (*found, *[x - ops.mean(x, axis, keepdims=True) for axis in axes if shape[axis]])

    agrees(function, normal(*shape))


# index arithmetic
@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ((4, 32), (128,)),
        ((128,), (4, 2, 16)),
        ((6, 35), (7, 5, 6)),
        ((2, 3, 4, 5), (6, 20)),
        ((2, 3, 4, 5), (5, 4, 3, 2)),
        ((1, 7, 1), (7,)),
        ((33, 3), (3, 1, 33)),
    ],
)
def test_reshapes_between_loops(inner, outer):
    x, y = normal(*inner), normal(*outer)
    agrees(lambda x, y: ops.reshape(ops.exp(x), shape=outer) * y, x, y)
    agrees(lambda x, y: ops.sum(ops.reshape(x, shape=outer) * y, len(outer) - 1), x, y)
    agrees(lambda x, y: ops.transpose(ops.reshape(x, shape=outer)) + ops.transpose(y), x, y)


def test_views_of_views():
    def function(x: Node) -> tuple[Node, ...]:
        y = ops.transpose(x[1:, ::2, 1:-1], permutation=(2, 0, 1))
        z = ops.reverse(ops.pad(y, constant(9.0), low=(0, 1, -1), high=(2, 0, 0)), axes=(0, 2))
        return ops.exp(z), ops.sum(z, 1), ops.reshape(z, shape=(-1,)) * 2.0, z[::3, 0]

    agrees(function, normal(4, 19, 9))


@pytest.mark.parametrize("shape", [(3, 70), (33, 17), (64, 64), (130, 2), (16, 81), (2, 30, 20)])
def test_transposed_reads(shape):
    turned = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2)
    order = (len(shape) - 1, *range(len(shape) - 1))

    def function(x: Node, y: Node) -> tuple[Node, ...]:
        z = ops.transpose(x, permutation=turned)
        rolled = ops.transpose(x, permutation=order)
        return z * 2.0 + y, rolled, ops.reverse(z, axes=(0,)) - y, ops.sum(z, -1)

    agrees(function, normal(*shape), normal(*[shape[i] for i in turned]))
    for dtype in ("f8", "i1", "?", "f2", "i8"):
        whole = RNG.integers(0, 2, shape).astype(dtype)
        agrees(lambda x: (ops.transpose(x, permutation=turned), ops.transpose(x)), whole)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("parts", [2, 4, 5, 9])
def test_concatenations_of_any_number_of_parts(axis, parts):
    shapes = [[2, 3, 17] for _ in range(parts)]
    for i, shape in enumerate(shapes):
        shape[axis] = i % 4
    args = [normal(*shape) for shape in shapes]
    agrees(lambda *xs: ops.exp(ops.concatenate(*xs, axis=axis)) * 0.5, *args)
    agrees(lambda *xs: ops.concatenate(*[ops.exp(x) for x in xs], axis=axis), *args)


def test_products_of_views_and_constants():
    def function(x: Node, y: Node) -> tuple[Node, ...]:
        rows = ops.broadcast_to(y[0], (7, 6))
        return (
            ops.transpose(x) @ y,
            x[:, ::2] @ y[:3],
            ops.reverse(x, axes=(0,)) @ y,
            rows @ ops.transpose(rows) + 1.0,
            constant([[2.0]]) @ y[:1],
            ops.full((3, 6), 0.5) @ ops.relu(y),
        )

    agrees(function, normal(6, 6), normal(6, 6))


# types
INTEGERS = ("i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "bool")


FLOATS = ("f16", "bf16", "f32", "f64")


@pytest.mark.parametrize("source", [*INTEGERS, *FLOATS])
def test_products_of_any_types(source):
    def function(x: Node, y: Node) -> list[Node]:
        x, y = (ops.convert(n, dtype=source) for n in (x, y))
        types = [*INTEGERS, *FLOATS]
        return [ops.dot_general(x, y, contract=((1,), (0,)), dtype=type) for type in types]

    agrees(function, *[RNG.integers(0, 4, shape).astype(np.int32) for shape in ((5, 9), (9, 3))])


@pytest.mark.parametrize("half", ["f16", "bf16"])
def test_a_layer_whose_weights_no_cache_holds_rounds_them_as_it_reads_them(half):
    n = 1024 * (host_target().l2 // (1 << 19) + 1)

    def layer(x: Node, w: Node, bias: Node, ct: Node) -> list[Node]:
        x, w, ct = (ops.convert(value, dtype=half) for value in (x, w, ct))
        y = ops.relu(x @ w + ops.convert(bias, dtype=half))
        return [y, ops.convert(ops.dot_general(ct, w, contract=((1,), (1,))), dtype="f32")]

    x, w, bias, ct = (
        RNG.integers(-3, 4, shape).astype(np.float32)
        for shape in ((30, 4096), (4096, n), n, (30, n))
    )
    args = x, w * np.float32(1 + 2.0**-14), bias, ct  # sums of what is rounded are exact
    graph = trace(layer, *[tensor("f32", *arg.shape) for arg in args])
    made = [compiled(graph, threads) for threads in (1, 2)]
    bodies = [step.node.attrs["body"].nodes for step in made[0].program.steps]
    assert not any(node.type == tensor(half, 4096, n) for body in bodies for node in body[-1:])
    case = Case("", graph, args)
    first, second = ([value.tobytes() for value in run(m, case)] for m in made)
    assert first == second
    check([case], 2)


@pytest.mark.parametrize("dtype", ["u8", "u16", "u32", "u64"])
@pytest.mark.parametrize("shape", [(3,), (16,), (100,), (7, 33), (4, 64), (64, 2)])
def test_random_bits_of_all_widths(dtype, shape):
    key = np.array([1, 2, 3, 4], np.uint32)

    def function(key: Node) -> tuple[Node, ...]:
        bits = ops.random_bits(key, stream=5, shape=shape, dtype=dtype)
        turned = ops.random_bits(key, stream=6, shape=shape, dtype=dtype)
        return bits, ops.transpose(turned), ops.reverse(turned, axes=(0,))

    agrees(function, key)


@pytest.mark.parametrize("dtype", ["u8", "u32", "u64"])
@pytest.mark.parametrize("shape", [(100,), (7, 33), (40, 16)])
def test_random_bits_from_a_later_block_on(dtype, shape):
    key = np.array([1, 2, 3, 4, 0xFFFFFFFD, 9], np.uint32)
    agrees(lambda key: ops.random_bits(key, stream=5, shape=shape, dtype=dtype), key)


@pytest.mark.parametrize("name", ["f16", "bf16"])
def test_half_types_round_once(name):
    x = normal(40, 70)
    x = f32_to_bf16(x) if name == "bf16" else x.astype(np.float16)

    def function(x: Node) -> tuple[Node, ...]:
        weights = ops.reshape(x, shape=(70, 40))
        return (ops.sum(x, 0), ops.sum(x, 1), ops.cumsum(x, 1), x @ weights, ops.max(x, (0, 1)))

    agrees(function, x)


@pytest.mark.parametrize(
    ("columns", "dtype"), [(512, "f4"), (300, "f4"), (97, "f8"), (33, "f4"), (40, "i2")]
)
def test_rows_added_up_by_index_in_parts(columns, dtype):
    """Each task has its own columns of a large scatter; indices outside are dropped."""
    ids = RNG.integers(-2, 9, (70, 31)).astype(np.int32)
    rows = (100 * normal(70, 31, columns)).astype(dtype)
    first = (10 * normal(8, columns)).astype(dtype)

    def add_rows(x: Node, ids: Node, rows: Node) -> Node:
        return ops.scatter(
            *(x, ids, rows),
            body=ops.monoid("add", x.dtype),
            update_window_dims=(2,),
            inserted_window_dims=(0,),
            scatter_dims_to_operand_dims=(0,),
            index_vector_dim=2,
        )

    agrees(add_rows, first, ids, rows, threads=3)
    agrees(lambda x, i, r: (add_rows(-x, i, r), add_rows(x, i, r)), first, ids, rows)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64])
def test_indices_of_any_type_are_clamped(dtype):
    table, limits = normal(5, 3), np.iinfo(dtype)
    ids = np.array([0, 4, 5, limits.min, limits.max], dtype)
    agrees(lambda x, i: ops.take(x, i, axis=0), table, ids)
    agrees(lambda x, i: ops.dynamic_slice(x, i[4], i[3], sizes=(2, 2)), table, ids)
    agrees(lambda x, i: ops.dynamic_update_slice(x, x[:2, :2] * 2.0, i[4], i[0]), table, ids)


# control flow
def test_loops_of_several_results_inside_loops():
    def inner(carry: tuple[Node, Node], x: Node) -> tuple[tuple[Node, Node], Node]:
        a, b = carry
        return (b, a + x), a * b

    def outer(carry: Node, row: Node) -> tuple[Node, Node]:
        (a, b), found = scan(inner, (carry, carry * 0.5), row)
        return a - b, ops.softmax(found, axis=0)

    agrees(lambda x, rows: scan(outer, x, rows, reverse=True), normal(), normal(3, 4))


def test_captured_values_through_two_levels():
    def function(x: Node, w: Node, flag: Node) -> Any:
        doubled = w * 2.0

        def body(i: Node, carry: Node) -> Node:
            return cond(flag, lambda: carry @ doubled, lambda: carry + x)

        return fori_loop(0, 3, body, x)

    for flag in (True, False):
        agrees(function, normal(3, 3), normal(3, 3) * 0.3, np.array(flag))


def test_branches_with_several_results_and_leaves():
    def function(i: Node, x: Node, y: Node) -> Any:
        return switch(
            i,
            [
                lambda a, b: (a, b, a),
                lambda a, b: (b, ops.exp(a), constant(np.ones(4, np.float32))),
                lambda a, b: (a + b, *[ops.sort(a), ops.cumsum(b, 0)]),
            ],
            x,
            y,
        )

    for i in (0, 1, 2, -1, 9):
        agrees(function, np.array(i, np.int32), normal(4), normal(4))


def test_a_loop_that_swaps_and_stops():
    def function(n: Node, x: Node, y: Node) -> Any:
        return while_loop(
            lambda i, a, b: i < n, lambda i, a, b: (i + 1, b, a * 1.5), (constant(0), x, y)
        )

    for n in (0, 1, 2, 5):
        agrees(function, np.array(n, np.int32), normal(3), normal(3))
    agrees(function, np.array(4, np.int32), normal(3), normal(3), threads=2)


def test_sorting_inside_a_loop():
    def step(carry: Node, row: Node) -> tuple[Node, Node]:
        values, places = ops.top_k(row + carry, k=3)
        return ops.sort(values)[0], ops.convert(places, dtype="f32") + values

    for threads in (1, 2):
        agrees(lambda x, rows: scan(step, x, rows), normal(), normal(4, 9), threads=threads)


# bodies of reductions
def test_reductions_by_any_body():
    from anode.ir.dtypes import f32, i32
    from anode.ops.reduce import scalar_graph

    def product_and_count(a: Node, n: Node, b: Node, m: Node) -> tuple[Node, Node]:
        return ops.softplus(a) * b, n + m + 1

    body = scalar_graph(product_and_count, f32, i32, f32, i32)
    counts = RNG.integers(0, 5, (6, 35)).astype(np.int32)

    def function(x: Node, n: Node) -> tuple[Node, ...]:
        one, zero = constant(1.0), constant(0)
        rows = ops.reduce(x, n, one, zero, body=body, axes=(1,)).items
        columns = ops.reduce(x, n, one, zero, body=body, axes=(0,)).items
        return (*rows, *columns, *ops.reduce(x, n, one, zero, body=body, axes=(0, 1)).items)

    agrees(function, normal(6, 35) * 0.1, counts)


@pytest.mark.parametrize("shape", [(5, 7), (40, 33), (3, 100), (200,), (2, 3, 64)])
def test_where_the_largest_is(shape):
    x = RNG.integers(-5, 6, shape).astype(np.float32)
    x.flat[RNG.integers(0, x.size, 2)] = np.nan
    for dtype in (np.float32, np.int32, np.float64):
        y = np.nan_to_num(x).astype(dtype) if dtype == np.int32 else x.astype(dtype)
        for axis in range(len(shape)):
            agrees(lambda x, axis=axis: (ops.argmax(x, axis=axis), ops.argmin(x, axis=axis)), y)


def test_runs_repeat_to_the_bit():
    graph: Graph = trace(
        lambda x, k: (ops.softmax(x), ops.sum(x), ops.normal(k, stream=1, shape=(50, 3)), x @ x),
        *[tensor("f32", 70, 70), tensor("u32", 4)],
    )
    case = Case("", graph, [normal(70, 70), np.arange(4, dtype=np.uint32)])
    made = [compiled(graph, threads) for threads in (1, 2)]
    first, *others = [[v.tobytes() for v in run(m, case)] for m in (*made, *made)]
    assert all(other == first for other in others)


def test_long_chains_compile():
    def function(x: Node) -> Node:
        for i in range(400):
            x = ops.reshape(ops.transpose(ops.reshape(x * 1.01, shape=(3, 1, 4))), shape=(12,)) - i
        return x

    (inputs,) = fresh_inputs(tensor("f32", 12))
    check([Case("", close([inputs], [function(inputs)]), [normal(12)])])


def test_indices_of_64_bits(monkeypatch):
    """What tensors of more than 2^31 elements need, on small ones."""
    monkeypatch.setattr(position, "NARROW", 0)
    monkeypatch.setenv("ANODE_CACHE", "off")
    key = np.array([1, 2, 3, 4], np.uint32)

    def function(x: Node, key: Node) -> tuple[Node, ...]:
        taken = ops.take(x, ops.iota(shape=(33,), dtype="i32", axis=0) * 2, axis=1)
        drawn = [
            ops.random_bits(key, stream=1, shape=(5, 33), dtype=dtype) for dtype in ("u8", "u64")
        ]
        turned = ops.reshape(ops.transpose(x), shape=(20, 20))
        return (
            taken,
            *drawn,
            turned * 2.0,
            ops.pad(x, 1.0, low=(1, 2), high=(0, 1), interior=(0, 1)),
        )

    agrees(function, normal(5, 80), key)


def test_a_panel_that_is_packed_in_runs_ends_within_its_scratch():
    def function(x: Node, ct: Node) -> Node:
        last = ops.transpose(ct, permutation=(0, 2, 3, 1))
        return ops.convolution_weights(x, last, kernel=(1, 2))

    agrees(function, normal(3, 99, 6, 4), normal(3, 5, 99, 5))


FULL = """
import ctypes, numpy, anode
from anode import ops

def exe(number):
    return anode.compile(anode.graph(lambda x: ops.erf(x) * number, anode.tensor("f32", 100)))

def mapped(size, private=0x4022):
    return libc.mmap(None, size, 0, private, -1, 0)

exe(1.0)(numpy.ones(100, numpy.float32))
libc, pages = ctypes.CDLL(None), []
libc.mmap.restype, size = ctypes.c_size_t, ctypes.c_size_t
libc.mmap.argtypes = [ctypes.c_void_p, size, *[ctypes.c_int] * 3, size]
libc.munmap.argtypes = [size, size]
for _ in range(6):  # fill all holes above 3 GiB more, and leave one of a page below
    end = mapped(3 << 30)
    for size in (1 << 24, 1 << 20, 1 << 16, 1 << 12):
        while mapped(size) > end:
            pass
    pages.append(mapped(1 << 12))
    mapped(1 << 12)
for page in pages:
    libc.munmap(page, 1 << 12)
exe(2.0)(numpy.ones(100, numpy.float32))
print("fine")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is mapped as Linux does")
def test_code_reaches_its_constants_in_a_process_whose_address_space_is_full_of_holes(tmp_path):
    assert run_python(FULL, ANODE_CACHE=str(tmp_path)) == "fine\n"
