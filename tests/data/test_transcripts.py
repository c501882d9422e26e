"""Edit distances and error rates."""

import pytest

from anode.data.transcripts import (
    character_error_rate,
    edit_distance,
    label_error_rate,
    word_error_rate,
)
from anode.errors import DataError


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ("", "", 0),
        ("abc", "", 3),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("saturday", "sunday", 3),
        ([1, 2, 3], (1, 3), 1),
        ("ab", "ba", 2),
    ],
)
def test_distances(a, b, distance):
    assert edit_distance(a, b) == distance == edit_distance(b, a)


def test_rates_are_over_all_that_was_said():
    assert label_error_rate([[1, 2], [3]], [[1, 2, 3], [4]]) == 2 / 4
    assert label_error_rate([[1, 2, 3]], [[1]]) == 2.0
    assert character_error_rate(["the cat"], ["the hat"]) == 1 / 7
    assert word_error_rate(["the  cat sat"], ["the hat sat down"]) == 2 / 4
    with pytest.raises(DataError, match="not empty"):
        word_error_rate(["a"], [""])
    with pytest.raises(ValueError, match="argument 2"):
        label_error_rate([[1]], [[1], [2]])
