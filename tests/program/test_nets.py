"""The memory of real nets: near the bound, and a fraction of one buffer for each tensor."""

import pytest

from anode.models import architecture
from anode.program.cost import seconds
from anode.program.memory import memory_report, one_per_tensor
from benchmarks.memory import BATCHES, graphs, program_of

# what one buffer for each tensor takes to what is planned: inference, and training
LEAST = {
    "lenet": (7, 4),
    "alexnet": (6, 20),
    "resnet-20": (25, 3),
    "vgg-a": (15, 10),
    "googlenet": (20, 4),
}


@pytest.mark.parametrize("name", LEAST)
def test_the_plan_is_near_the_bound_and_far_below_one_buffer_each(name):
    for graph, least in zip(graphs(architecture(name), BATCHES[name]), LEAST[name], strict=True):
        program = program_of(graph)
        assert program.arena <= 1.1 * memory_report(program).lower_bound
        assert one_per_tensor(graph) >= least * program.arena


@pytest.mark.parametrize("name", ["lenet", "resnet-20"])
def test_training_within_a_fifth_takes_a_third_more_time_at_most(name):
    graph = graphs(architecture(name), BATCHES[name])[1]
    limit = one_per_tensor(graph) // 5
    free, tight = program_of(graph), program_of(graph, limit)
    times = [sum(seconds(p, step) for step in p.steps) for p in (free, tight)]
    assert tight.arena <= limit
    assert times[1] <= 1.35 * times[0]
