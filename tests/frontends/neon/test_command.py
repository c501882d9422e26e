"""`neon file.yaml`: a model trained on a data set, with neon's options."""

import subprocess
import sys

import pytest

pytest.importorskip("configargparse")
pytest.importorskip("yaml")

from anode.errors import DataError
from anode.frontends.neon import NervanaObject, logger
from anode.frontends.neon.backends import gen_backend
from anode.frontends.neon.command import main
from anode.frontends.neon.util.yaml_parse import create_objects, read_yaml
from tests.frontends.neon.data import samples

MODEL = """
backend: mkl
epochs: 2
batchsize: 4
wt_init: &wt_init {type: Gaussian, config: {loc: 0.0, scale: 0.01}}
layers:
- {type: Linear, config: {nout: 10, init: *wt_init, name: first}}
- {type: Bias, config: {init: {type: Constant, config: {val: 0.5}}}}
- {type: Activation, config: {transform: {type: Rectlin}}}
- {type: Linear, config: {nout: 10, init: *wt_init}}
- type: Activation
  config: {transform: {type: Logistic, config: {shortcut: true}}}
cost: CrossEntropyBinary
gdm: &gdm {type: GradientDescentMomentum, config: {learning_rate: 0.1, momentum_coef: 0.9}}
optimizer:
  type: MultiOptimizer
  config: {optimizer_mapping: {default: *gdm, Bias: {type: RMSProp}}}
dataset: {name: mnist}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    samples.write_all(str(tmp_path))
    (tmp_path / "model.yaml").write_text(MODEL)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    before = NervanaObject.be, logger.handlers, logger.level, logger.propagate, sys.argv
    yield tmp_path
    NervanaObject.be, logger.handlers, logger.level, logger.propagate, sys.argv = before


def costs(folder, *arguments):
    h5py = pytest.importorskip("h5py")
    out = str(folder / "out.h5")
    options = ["-r", "0", "--no_progress_bar", "-o", out, *arguments]
    assert main([str(folder / "model.yaml"), *options]) == 0
    with h5py.File(out) as file:
        return file["cost/train"][:].tolist()


def test_a_model_is_trained(folder):
    found = costs(folder)
    assert len(found) == 8 and found[6] < found[0]  # 13 rows by 4: minibatches of two epochs
    assert costs(folder, "-w", str(folder)) == found
    assert len(costs(folder, "-e", "1")) == 4 and len(costs(folder, "-z", "2")) == 14


def test_saved_and_taken_up(folder):
    costs(folder, "-s", "model.prm")
    found = costs(folder, "--model_file", "model.prm", "-e", "1")
    assert len(found) == 4


def test_anode_run_takes_yaml(folder):
    script = "from anode.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "run", "model.yaml", "-e", "1", "-r", "0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0 and "Epoch 0" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "change, said",
    [
        (("dataset: {name: mnist}", "dataset: {name: nothing}"), "names no data set"),
        (("cost: CrossEntropyBinary", ""), "has no 'cost'"),
        (("backend: mkl", "backend: [mkl"), "is no YAML"),
    ],
)
def test_what_cannot_be_is_a_sentence(folder, capsys, change, said):
    (folder / "model.yaml").write_text(MODEL.replace(*change))
    assert main([str(folder / "model.yaml"), "--no_progress_bar"]) == 1
    assert said in capsys.readouterr().err


def test_only_plain_values_are_read(tmp_path):
    with pytest.raises(DataError, match="is no YAML"):
        read_yaml("layers: !!python/object/apply:os.system ['true']", "file")
    with pytest.raises(DataError, match="no mapping"):
        read_yaml("- 1", "file")


def test_objects_of_a_file(folder):
    with pytest.raises(AssertionError, match="Must generate a backend"):
        NervanaObject.be = None
        create_objects(str(folder / "model.yaml"))
    gen_backend("cpu", rng_seed=0, batch_size=4)
    model, cost, optimizer = create_objects(str(folder / "model.yaml"))
    assert [type(layer).__name__ for layer in model.layers.layers] == [
        "Linear", "Bias", "Activation", "Linear", "Activation",
    ]  # fmt: skip
    assert type(cost.costfunc).__name__ == "CrossEntropyBinary"
    assert set(optimizer.optimizer_mapping) == {"default", "Bias"}
