"""Minimum cuts against all ways to cut."""

from itertools import combinations

import numpy as np
import pytest

from anode.passes.cut import FAR, NEAR, NEVER, Network


def network_of(arcs, count):
    network = Network()
    for _ in range(count):
        network.vertex()
    for a, b, size in arcs:
        network.arc(a, b, size)
    return network


def cost(arcs, near):
    return sum(size for a, b, size in arcs if a in near and b not in near)


def sides(count):
    inner = range(2, count + 2)
    for size in range(count + 1):
        for chosen in combinations(inner, size):
            yield {NEAR, *chosen}


@pytest.mark.parametrize("seed", range(40))
def test_no_cut_is_cheaper(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 7))
    places = count + 2
    arcs = [
        (int(a), int(b), int(size))
        for a, b, size in rng.integers(0, (places, places, 20), (int(rng.integers(0, 25)), 3))
        if a != b
    ]
    near = network_of(arcs, count).near_side()
    assert NEAR in near
    assert FAR not in near
    assert cost(arcs, near) == min(cost(arcs, side) for side in sides(count))


def test_an_arc_that_must_not_be_cut():
    arcs = [(NEAR, 2, 5), (2, 3, NEVER), (3, FAR, 9)]
    assert network_of(arcs, 2).near_side() == {NEAR}


def test_a_long_chain_is_cut_at_its_cheapest_arc():
    arcs = [(NEAR if i == 0 else i + 1, i + 2, 1000 - i % 700) for i in range(2000)]
    network = network_of([*arcs, (2001, FAR, 1000)], 2000)
    assert len(network.near_side()) == 700
