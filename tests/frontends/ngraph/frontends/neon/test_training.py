"""Layers and optimizers train as ngraph-python's did: the recorded costs are from training.py."""

import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("configargparse")
from anode.frontends import ngraph as ng
from anode.frontends.ngraph import transformers as ngt
from anode.frontends.ngraph.frontends import neon

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "recorded_training.json").read_text())


def models():
    spec = importlib.util.spec_from_file_location("training", HERE / "training.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Models(ng, ngt, neon)


def test_every_model_is_recorded():
    assert models().names() == list(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
def test_costs(name):
    assert models().costs(name) == pytest.approx(RECORDED[name], rel=2e-5)
