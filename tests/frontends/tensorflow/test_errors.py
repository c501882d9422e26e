"""Errors: every status code has a class, and they say where an op was made."""

import pickle
from types import SimpleNamespace

import pytest

from anode.frontends.tensorflow import errors

CLASSES = {errors.exception_type_from_error_code(code) for code in range(errors.CANCELLED, 17)}


def test_every_code_has_its_class():
    assert len(CLASSES) == 16
    for kind in CLASSES:
        error = kind(None, None, "what")
        assert isinstance(error, errors.OpError) and str(error) == "what"
        assert errors.error_code_from_exception_type(kind) == error.error_code
        assert (error.node_def, error.op, error.message) == (None, None, "what")


@pytest.mark.parametrize("kind", sorted(CLASSES, key=lambda kind: kind.__name__))
def test_pickling(kind):
    error = pickle.loads(pickle.dumps(kind(None, object, "gone")))
    assert type(error) is kind and error.message == "gone" and error.op is None


def test_the_users_line_is_shown():
    op = SimpleNamespace(
        name="div", type="RealDiv", traceback=[("train.py", 41, "main", "x = a / b")]
    )
    text = str(errors.InvalidArgumentError(None, op, "division by zero"))
    assert text.splitlines()[0] == "division by zero"
    assert "div (RealDiv)" in text and "train.py:41   x = a / b" in text


def test_unknown_codes_are_kept():
    error = errors.exception_of_code(99, None, None, "odd")
    assert isinstance(error, errors.UnknownError) and error.error_code == 99
    with pytest.raises(KeyError):
        errors.exception_type_from_error_code(99)
