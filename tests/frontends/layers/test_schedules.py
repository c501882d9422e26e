import pytest

from anode import layers as nn
from anode.errors import ShapeError


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (nn.Schedule(), [1, 1, 1, 1, 1]),
        (nn.Schedule([1, 3], 0.5), [1, 0.5, 0.5, 0.25, 0.25]),
        (nn.StepSchedule([1, 3], [0.6, 0.4]), [1, 0.6, 0.6, 0.4, 0.4]),
        (nn.PowerSchedule(2, 0.5), [1, 1, 0.5, 0.5, 0.25]),
        (nn.ShiftSchedule(2), [1, 1, 0.5, 0.5, 0.25]),
        (nn.ShiftSchedule(1, 2), [1, 1 / 4, 1 / 16, 1 / 64, 1 / 256]),
        (nn.ExpSchedule(0.5), [1, 1 / 1.5, 1 / 2, 1 / 2.5, 1 / 3]),
        (nn.PolySchedule(4, 2), [1, 0.75**2, 0.25, 0.0625, 0]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_rates(schedule, rates):
    assert [schedule.rate(1.0, epoch) for epoch in range(5)] == pytest.approx(rates)
    assert schedule.rate(0.1, 0) == pytest.approx(0.1)


def test_steps_without_rates():
    with pytest.raises(ShapeError, match="one rate for each"):
        nn.StepSchedule([1, 2], [0.1])
