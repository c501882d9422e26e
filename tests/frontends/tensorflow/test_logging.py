"""Messages: levels, and how often a line logs."""

import logging as python_logging

import pytest

from anode.frontends.tensorflow.api import logging


@pytest.fixture(autouse=True)
def level():
    before = logging.get_logger().level
    yield
    logging.get_logger().setLevel(before)


def test_levels(caplog):
    logging.set_verbosity(logging.INFO)
    logging.info("seen %d", 1)
    logging.debug("not seen")
    assert [r.getMessage() for r in caplog.records] == ["seen 1"]
    assert logging.get_verbosity() == logging.INFO == python_logging.INFO
    assert caplog.records[0].name == "tensorflow"


def test_counted(caplog):
    logging.set_verbosity(logging.INFO)
    for step in range(5):
        logging.log_first_n(logging.INFO, "first %d", 2, step)
        logging.log_every_n(logging.INFO, "every %d", 3, step)
    found = [r.getMessage() for r in caplog.records]
    assert found == ["first 0", "every 0", "first 1", "every 3"]
    logging.log_if(logging.INFO, "no", False)
    assert len(caplog.records) == 4


def test_names_of_levels():
    assert (logging.DEBUG, logging.INFO, logging.WARN) == (10, 20, 30)
    assert (logging.ERROR, logging.FATAL) == (40, 50)
    assert logging._logger is logging.get_logger() and logging.warn is logging.warning
