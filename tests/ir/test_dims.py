import pytest
from hypothesis import given
from hypothesis import strategies as st

from anode.errors import GraphError, ShapeError
from anode.ir.dims import Dim, parse_size, product

N, M = Dim("n"), Dim("m")
monomials = st.lists(st.sampled_from("abn"), max_size=3)
sizes = st.lists(st.tuples(st.integers(-9, 9), monomials), max_size=4).map(
    lambda terms: sum((c * product(tuple(map(Dim, names))) for c, names in terms), 0)
)


def value(size, **binding):
    return size.bind(binding) if isinstance(size, Dim) else size


@given(sizes, sizes, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_arithmetic_agrees_with_integers(x, y, a, b, n):
    at = {"a": a, "b": b, "n": n}
    assert value(x + y, **at) == value(x, **at) + value(y, **at)
    assert value(x - y, **at) == value(x, **at) - value(y, **at)
    assert value(x * y, **at) == value(x, **at) * value(y, **at)


@given(sizes)
def test_text_round_trips(size):
    assert parse_size(repr(size)) == size


@given(sizes, sizes, st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_a_decided_comparison_holds_for_all_sizes(x, y, a, b, n):
    at = {"a": a, "b": b, "n": n}
    for compare in (
        lambda p, q: p < q,
        lambda p, q: p <= q,
        lambda p, q: p > q,
        lambda p, q: p >= q,
    ):
        try:
            decided = compare(x, y)
        except ShapeError:
            continue
        assert decided == compare(value(x, **at), value(y, **at))


def test_canonical_forms_are_equal_and_hash_alike():
    assert {2 * N + M, M + N + N, M * 2 - M + N * 2} == {M + 2 * N}
    assert N - N == 0 and type(N - N) is int
    assert N != 1 and (N + 1) * (N - 1) == N * N - 1


@pytest.mark.parametrize(
    ("decide", "expected"),
    [
        (lambda: N >= 1, True),
        (lambda: N > 0, True),
        (lambda: N < 1, False),
        (lambda: N <= 2 * N, True),
        (lambda: N < N, False),
        (lambda: N < N + 1, True),
        (lambda: N * M > 0, True),
    ],
)
def test_comparisons_that_every_size_decides(decide, expected):
    assert decide() is expected


@pytest.mark.parametrize(
    "decide", [lambda: N > 1, lambda: N <= 1, lambda: N < M, lambda: N - M > 0, lambda: N < 3]
)
def test_comparisons_that_need_the_sizes_say_so(decide):
    with pytest.raises(ShapeError, match="before the sizes are bound"):
        decide()


def test_exact_division():
    assert (6 * N * M + 4 * N) // (2 * N) == 3 * M + 2
    assert (4 * N) % 2 == 0 and N // N == 1 and 0 // N == 0 and 0 % N == 0
    for fails in (
        lambda: N // 2,
        lambda: N // M,
        lambda: (N + 1) % 2,
        lambda: 6 // N,
        lambda: 6 % N,
    ):
        with pytest.raises(ShapeError, match=r"bound|binding"):
            fails()


def test_binding_is_partial_and_may_name_other_dims():
    assert (N * M + 1).bind({"n": 3}) == 3 * M + 1
    assert (N + M).bind({"n": M}) == 2 * M
    assert (N + M).names == {"n", "m"}


@pytest.mark.parametrize("name", ["", "2n", "a b", "f32", "inf", "True", "lambda"])
def test_names_that_are_not_free(name):
    with pytest.raises(ShapeError, match="dim's name"):
        Dim(name)


@pytest.mark.parametrize("text", ["", "n+", "2**n", "n n2+?", "1.5", "²", "n//2", "9" * 200])
def test_text_that_is_no_size(text):
    with pytest.raises(GraphError):
        parse_size(text)


def test_an_unbound_size_is_no_integer_and_says_what_to_bind():
    with pytest.raises(ShapeError, match=r"graph.bind\(n="):
        range(N)
    with pytest.raises(ShapeError, match="integer or a dim"):
        N + 1.5
