"""`anode export`, `anode show`, and `anode explain` of an archive."""

import numpy as np
import pytest

import anode
from anode.cli import main
from anode.data import load_mnist
from anode.frontends import layers as nn


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint as anode train writes it, of a small net after one epoch."""
    from anode.commands.settings import Keep, Settings

    folder = tmp_path_factory.mktemp("run")
    settings = Settings(hidden="8", batch=50, epochs=1)
    images = load_mnist().train[:200]
    model = settings.network()
    callbacks = [Keep(settings), nn.Checkpoint(folder / "c.safetensors")]
    cost = nn.CrossEntropyMulti()
    model.fit(settings.minibatches(images), cost, settings.solver(), 1, callbacks)
    return folder / "c.safetensors", model


def test_export_and_show(trained, tmp_path, capsys):
    checkpoint, model = trained
    path = tmp_path / "m.anode"
    assert main(["export", str(checkpoint), str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: predict\n"
    x = load_mnist().test.images[:40]
    np.testing.assert_allclose(anode.load(path).predict(x), model.predict(x), rtol=1e-5)
    assert main(["show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "predict(x: u8[32,28,28]) -> y: f32[32,10]  any number of rows" in shown
    assert "4 variables, 6,370 numbers" in shown
    assert main(["show", str(path), "--graph", "predict"]) == 0
    assert capsys.readouterr().out.startswith("anode 1\n")
    assert main(["show", str(path), "--graph", "train"]) == 1
    assert "no function 'train', only predict" in capsys.readouterr().err


def test_training_goes_on_in_an_archive(trained, tmp_path):
    checkpoint, _ = trained
    path = tmp_path / "t.anode"
    assert main(["export", str(checkpoint), str(path), "--training"]) == 0
    loaded = anode.load(path)
    images = load_mnist().train[:50]
    costs = [float(loaded.step(images.images, images.labels)) for _ in range(5)]
    assert costs[-1] < costs[0]


def test_explain_an_archive(trained, tmp_path, capsys):
    checkpoint, _ = trained
    path = tmp_path / "t.anode"
    main(["export", str(checkpoint), str(path), "--training"])
    capsys.readouterr()
    assert main(["explain", str(path), "--select", "variable:trainable"]) == 0
    assert "Linear_0.weight" in capsys.readouterr().out
    assert main(["explain", str(path), "--function", "train"]) == 0
    assert "Linear_0.weight" in capsys.readouterr().out
    assert main(["explain", str(checkpoint), "--function", "train"]) == 1
    assert "--function is for an archive" in capsys.readouterr().err
