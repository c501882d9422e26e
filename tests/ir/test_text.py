import math
import random
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anode import ops
from anode.errors import GraphError
from anode.ir.dims import Dim
from anode.ir.dtypes import DTYPES
from anode.ir.graph import Graph, close, fresh_inputs, trace
from anode.ir.node import constant, input_node, make, read
from anode.ir.op import Op
from anode.ir.text import graph_text, node_text, parse
from anode.ir.types import TensorType, TokenType, TupleType, tensor
from anode.ir.variable import Variable

F = tensor("f32", 3)
N = Dim("n")

TEXT = """\
anode 1
graph @0(%0: u32[4]) {
  %1 = constant(0.5) : f32[]
  %2 = broadcast_in_dim(%1, shape=(3,), axes=()) : f32[3]
  return %2
}
$dense/w_0 = variable("dense/w:0", init=@0, trainable=True, collections=("weights",)) : f32[3]
graph @1(%0: f32[], %1: f32[]) {
  %2 = add(%0, %1) : f32[]
  return %2
}
graph @main(%0: f32[n,3] "x", %1: i32[] "unread") {
  %2 = read($dense/w_0) : f32[3]
  %3 = broadcast_in_dim(%2, shape=(n, 3), axes=(1,)) : f32[n,3]
  %4 = multiply(%0, %3) : f32[n,3]
  %5 = constant(0.0) : f32[]
  %6 = reduce(%4, %5, body=@1, axes=(0, 1)) : f32[]
  %7 = constant(x"000000400000c0ff0000c07f") : f32[3]
  return %6 "loss"
  update $dense/w_0 = %7
}
"""


class Holder(Op):
    """An op of one operand that takes any attribute `value`."""

    operands = ("x",)
    attributes = {"value": None}  # noqa: RUF012

    def infer(self, types, attrs):
        return types[0]


HOLDER = Holder("test_holder")


def round_trip(graph: Graph) -> None:
    for origins in (False, True):
        text = graph_text(graph, origins=origins)
        assert parse(text) is graph
        assert graph_text(parse(text), origins=origins) == text


def test_the_text_of_a_graph_word_for_word():
    graph = parse(TEXT)
    assert graph_text(graph) == TEXT == repr(graph)
    assert graph.names == ("x", "unread", "loss")
    (variable,) = graph.variables
    assert variable.name == "dense/w:0" and variable.init is not None


def test_origins_are_comments():
    graph = trace(ops.exp, F)
    (line,) = [each for each in graph_text(graph, origins=True).splitlines() if "exp" in each]
    assert "# " in line and "test_text.py:" in line


def test_the_origin_of_a_node_that_was_read_is_its_line_of_the_text():
    text = "anode 1\ngraph @main(%0: f32[7,7,9]) {\n  %1 = acosh(%0)\n  return %1\n}"
    assert repr(parse(text, "model.txt").outputs[0].origin) == "model.txt:3"


def test_annotations_and_defaults_may_be_left_out_and_attributes_reordered():
    text = """anode 1

    # a comment
    graph @anything(%x: f32[2,5], %w: f32[5,4],) {   # trailing
      %y = dot_general(%x, %w, contract=((-1,), (0,)))
      %t = transpose(%y)
      return %t
    }
    """

    def f(x, w):
        return ops.transpose(ops.dot_general(x, w, contract=((1,), (0,))), permutation=(1, 0))

    assert parse(text) is trace(f, tensor("f32", 2, 5), tensor("f32", 5, 4))


literals = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary(max_size=9)
    | st.sampled_from(list(DTYPES.values()))
    | st.sampled_from([N, 2 * N - 1, N * Dim("k") + 3, -1 * N, F, tensor("i8", N, 0)])
    | st.sampled_from([TensorType(F.dtype, (2,), "blocked8"), TokenType(), TupleType((F,))])
    | st.sampled_from([TupleType((F, TupleType((TokenType(), tensor("bool")))))])
    | st.sampled_from([trace(ops.exp, F), Variable("v", F), Variable("v", F, None, False)]),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@given(literals)
def test_every_attribute_round_trips(value):
    round_trip(Graph.make([F], [make(HOLDER, (input_node(0, F),), {"value": value})]))


@given(st.lists(st.text(), min_size=3, max_size=3), st.lists(st.text(max_size=3), unique=True))
def test_names_of_any_characters_round_trip(names, variables):
    x, y = input_node(0, F), input_node(1, F)
    updates = [(Variable(name, F), x) for name in variables]
    round_trip(Graph.make([F, F], [y], updates, names=names))


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_constants_are_exact(dtype):
    bits = np.random.default_rng(0).integers(0, 256, 64, np.uint8).tobytes()
    if dtype == "bool":
        bits = bytes(byte & 1 for byte in bits)
    array = np.frombuffer(bits, DTYPES[dtype].numpy)
    scalars = [array[i : i + 1].reshape(()) for i in range(len(array))]
    nodes = [constant(x, dtype) for x in [array, array[:0], *scalars]]
    round_trip(Graph.make([], nodes))


@pytest.mark.parametrize("value", [0.0, -0.0, 0.1, 1e-45, 3.4e38, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("dtype", ["f64", "f32", "f16", "bf16"])
def test_special_floats_are_short_and_exact(value, dtype):
    graph = Graph.make([], [constant(value, dtype)])
    round_trip(graph)
    assert 'x"' not in graph_text(graph)


def test_two_variables_of_one_name_stay_two():
    a, b = Variable("w:0", F), Variable("w:0", tensor("f64", 3))
    round_trip(trace(lambda: (read(a), read(b), read(Variable("w_0", F)), read(Variable("", F)))))


def test_tokens_and_effects():
    token = input_node(0, TokenType())
    round_trip(Graph.make([TokenType()], [], effects=[token]))
    round_trip(Graph.make([], []))


def test_control_flow_prints_each_graph_once_before_its_use():
    def f(x):
        def step(c, _):
            c = ops.cond(ops.less(ops.sum(c), 1.0), lambda: c * 2.0, lambda: ops.sin(c))
            return c, ops.sum(c)

        return ops.scan(step, ops.scan(step, x, None, length=2)[0], None, length=2)

    graph = trace(f, F)
    text = graph_text(graph)
    round_trip(graph)
    scan = text.index("scan(")
    assert text.count("= sin(") == 1 and text.index("= sin(") < scan


CALLS = [
    lambda p, a, b: a + b,
    lambda p, a, b: ops.tanh(a) * 0.1 - math.inf,
    lambda p, a, b: ops.select(p, a, b),
    lambda p, a, b: ops.softmax(a, axis=0),
    lambda p, a, b: ops.top_k(a, k=3).item(0),
    lambda p, a, b: ops.broadcast_to(ops.sum(a), (3,)),
    lambda p, a, b: ops.map_(lambda row: row * ops.sum(b), a),
    lambda p, a, b: a * constant(np.float32([0.3, -0.0, 7])),
    lambda p, a, b: b - read(Variable("v", F)),
]


def random_graph(seed: int) -> Graph:
    draw = random.Random(seed)
    inputs = fresh_inputs(F, F, tensor("bool", 3))
    nodes = list(inputs[:2])
    for _ in range(draw.randrange(1, 40)):
        nodes.append(draw.choice(CALLS)(inputs[2], draw.choice(nodes), draw.choice(nodes)))
    return close(inputs, draw.sample(nodes, 2), [(Variable("v", F), draw.choice(nodes))])


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_round_trip(seed):
    round_trip(random_graph(seed))


def body(*lines: str) -> str:
    return "\n".join(["anode 1", "graph @main(%0: f32[3]) {", *lines, "}"])


MALFORMED = [
    ("", 1, "must start with"),
    ("graph @main() {\n}", 1, "must start with"),
    ("anode 2\ngraph @main() {\n}", 1, "version 2"),
    ("anode 1", 1, "no graph"),
    ("anode 1\ngraph @main(", 2, "%"),
    ("anode 1\ngraph @main() {", 2, "not closed"),
    ("anode 1\ngraph @main() {\n} }", 3, "end of the line"),
    ("anode 1\ngraph @main(%0: f32[3], %0: f32[3]) {\n}", 2, "defined twice"),
    ("anode 1\ngraph @main(%0: f33[3]) {\n}", 2, "f33 is not defined"),
    ("anode 1\ngraph @main(%0: f32[-3]) {\n}", 2, "negative"),
    ("anode 1\ngraph @main(%0: f32[3 4]) {\n}", 2, "expected"),
    ("anode 1\ngraph @main(%0: f32[n*]) {\n}", 2, "expected"),
    ('anode 1\ngraph @main(%0: f32[] "x") {\n return %0\n}', 4, "name all or none"),
    ("anode 1\n$w = variable(3) : f32[]", 2, "a variable has"),
    ('anode 1\n$w = variable("w", size=3) : f32[]', 2, "a variable has"),
    ('anode 1\n$w = variable("w")', 2, "variable(name"),
    ('anode 1\n$w = constant("w") : f32[]', 2, "variable(name"),
    (body("  %1 = exp(%0) : f32[4]"), 3, "gives f32[3], not f32[4]"),
    (body("  %1 = exp(%2)"), 3, "%2 is not defined"),
    (body("  %1 = exp(%0, %0)"), 3, "takes x; got 2"),
    (body("  %1 = add(%0)"), 3, "got 1"),
    (body("  %1 = exq(%0)"), 3, "did you mean exp"),
    (body("  %1 = exp(3)"), 3, "cannot be called"),
    (body("  %1 = input(index=0, type=f32[3])"), 3, "cannot be called"),
    (body("  %1 = read(%0)"), 3, "cannot be called"),
    (body("  %1 = read($w)"), 3, "$w is not defined"),
    (body("  %1 = transpose(%0, permutation=5)"), 3, "TypeError"),
    (body("  %1 = transpose(%0, axis=5)"), 3, "no attribute axis"),
    (body("  %1 = transpose(%0, permutation=(0,), permutation=(0,))"), 3, "defined twice"),
    (body("  %1 = reduce(%0, %0, body=@7, axes=(0,))"), 3, "@7 is not defined"),
    (body("  %1 = broadcast_in_dim(%0, shape=(-4, 3), axes=(1,))"), 3, "negative"),
    (body("  %1 = exp(%0)", "  %1 = exp(%0)"), 4, "defined twice"),
    (body("  %1 = constant(1.0)"), 3, "constant(value) : type"),
    (body("  %1 = constant(1.0, 2.0) : f32[]"), 3, "ValueError"),
    (body("  %1 = constant(1.5) : i32[]"), 3, "no i32"),
    (body("  %1 = constant(1e999) : f64[]"), 3, "too large"),
    (body("  %1 = constant(1.0) : f32[3]"), 3, "bytes"),
    (body('  %1 = constant("1") : f32[]'), 3, "bytes"),
    (body('  %1 = constant(x"00") : f32[]'), 3, "1 bytes"),
    (body('  %1 = constant(x"000") : u8[]'), 3, "ValueError"),
    (body('  %1 = constant(x"02") : bool[]'), 3, "00 or 01"),
    (body('  %1 = constant(x"") : f32[n]'), 3, "bound"),
    (body(f'  %1 = constant(x"{"00" * 70000}") : u8[70000]'), 3, "70000 bytes"),
    (body(f"  %1 = constant({'9' * 5000}) : i32[]"), 3, "ValueError"),
    (body(f"  %1 = exp(%0, value={'(' * 5000}"), 3, "parentheses"),
    (body("  %1 = exp(%0) : " + "(" * 5000), 3, "parentheses"),
    (body('  %1 = exp(%0, value="\\q")'), 3, "JSONDecodeError"),
    (body('  %1 = exp(%0, value="open'), 3, "cannot read"),
    (body("  %1 = exp(%0) ; __import__('os')"), 3, "cannot read"),
    (body("  update $w = %0"), 3, "$w is not defined"),
    (body("  effect %0"), 4, "effects are tokens"),
    (body("  print %0"), 3, "expected effect"),
    (body("  return %0,"), 3, "expected a name starting with %"),
]


@pytest.mark.parametrize(("text", "line", "message"), MALFORMED)
def test_malformed_text_is_an_error_that_names_the_line(text, line, message):
    with pytest.raises(GraphError) as raised:
        parse(text, "some.txt")
    assert str(raised.value).startswith(f"some.txt:{line}: ") and message in str(raised.value)


def test_text_cut_anywhere_is_a_graph_error_or_a_graph():
    for end in range(len(TEXT)):
        with suppress(GraphError):
            assert isinstance(parse(TEXT[:end]), Graph)


@given(st.integers(0, len(TEXT) - 1), st.characters())
def test_text_with_a_wrong_character_is_a_graph_error_or_a_graph(place, character):
    with suppress(GraphError):
        assert isinstance(parse(TEXT[:place] + character + TEXT[place + 1 :]), Graph)


def test_what_has_no_text_form_is_an_error():
    node = make(HOLDER, (input_node(0, F),), {"value": len})
    with pytest.raises(GraphError, match="no text form"):
        graph_text(Graph.make([F], [node]))


def test_one_node_as_a_line():
    x = fresh_inputs(tensor("f32", 2, 3))[0]
    assert node_text(ops.transpose(x)) == "transpose(f32[2,3], permutation=(1, 0)) : f32[3,2]"
    assert "body" not in node_text(ops.sum(x))
