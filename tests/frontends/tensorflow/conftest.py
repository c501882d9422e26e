"""The served module `tensorflow`, with an empty default graph for each test."""

import importlib

import pytest

import anode.compat
from anode.frontends.tensorflow.core import Graph


@pytest.fixture
def tf():
    anode.compat.install("tensorflow")
    with Graph().as_default():
        yield importlib.import_module("tensorflow")
    anode.compat.uninstall("tensorflow")
