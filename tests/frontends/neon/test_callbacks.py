"""Callbacks: the order they run in, what they write into the HDF5 file, print and save."""

import logging
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

from anode.frontends.neon import NervanaObject  # noqa: E402
from anode.frontends.neon.backends import gen_backend  # noqa: E402
from anode.frontends.neon.callbacks import callbacks as served  # noqa: E402
from anode.frontends.neon.callbacks import plotting_callbacks  # noqa: E402
from anode.frontends.neon.callbacks.callbacks import Callback, Callbacks  # noqa: E402
from anode.frontends.neon.layers import Multicost  # noqa: E402
from anode.frontends.neon.transforms import Misclassification, PrecisionRecall  # noqa: E402
from anode.frontends.neon.transforms.cost import CrossEntropyBinary  # noqa: E402

BATCH = 4


@pytest.fixture(autouse=True)
def backend():
    before = NervanaObject.be
    yield gen_backend("cpu", rng_seed=0, batch_size=BATCH)
    NervanaObject.be = before


class Data:
    """Minibatches of outputs and targets; the last one is not whole."""

    ndata, nbatches, name = 10, 3, "data"

    def reset(self):
        self.resets = getattr(self, "resets", 0) + 1

    def __iter__(self):
        be = NervanaObject.be
        for start in (0, 4, 8):
            values = (
                np.linspace(0, 1, 20).reshape(2, 10).take(range(start, start + 4), 1, mode="wrap")
            )
            yield be.array(values), be.array(np.eye(2)[:, [0, 1, 1, 0]])


class Cost:
    costfunc = None

    def __init__(self, costfunc=None):
        self.costfunc, self.cost = costfunc, np.zeros((1, 1), np.float32)

    def get_cost(self, y, t):
        self.outputs = NervanaObject.be.array(y.get().sum(axis=0, keepdims=True))
        return self.cost


class Model:
    """What callbacks see of a model; `train` calls them as training does."""

    ndata, nbatches = 10, 3
    finished = False

    def __init__(self, cost=None):
        self.cost = cost or Cost(CrossEntropyBinary())
        self.total_cost = np.array([[0.5]], np.float32)
        self.loaded = None

    def fprop(self, x, inference=False):
        return x

    def eval(self, dataset, metric):
        dataset.reset()
        return np.full(len(metric.metric_names), 0.25, np.float32)

    def serialize(self, fn=None, keep_states=True):
        return {"epoch_index": 0, "states": keep_states}

    def load_params(self, path):
        self.loaded = path

    def __str__(self):
        return "the model"


def train(callbacks, model, epochs=2):
    callbacks.on_train_begin(epochs)
    step = 0
    for epoch in range(epochs):
        callbacks.on_epoch_begin(epoch)
        for minibatch in range(model.nbatches):
            callbacks.on_minibatch_begin(epoch, minibatch)
            model.cost.cost = np.array([[float(step)]], np.float32)
            step += 1
            callbacks.on_minibatch_end(epoch, minibatch)
        callbacks.on_epoch_end(epoch)
        if model.finished:
            break
    callbacks.on_train_end()


def names(callbacks):
    return [type(c).__name__.removesuffix("Callback") for c in callbacks.callbacks]


def test_the_usual_callbacks_and_their_order(tmp_path):
    model = Model()
    full = Callbacks(
        model,
        eval_freq=1,
        eval_set=Data(),
        metric=Misclassification(),
        save_path=str(tmp_path / "m.prm"),
        serialize=2,
    )
    assert names(full) == [
        *("Loss", "TrainCost", "ProgressBar", "Metric", "SerializeModel", "TrainLogger", "RunTimer")
    ]
    assert full.callbacks[4].epoch_freq == 2
    assert names(Callbacks(model, progress_bar=False, multicost=True))[0] == "TrainMulticost"
    full.add_callback(Callback(), insert_pos=1)
    full.add_early_stop_callback(lambda state, cost: (state, False))
    full.add_save_best_state_callback("best")
    full.add_hist_callback()
    full.add_deconv_callback(Data(), Data())
    assert names(full)[1] == ""
    assert names(full)[-4:] == ["EarlyStop", "SaveBestState", "Hist", "Deconv"]
    with pytest.raises(ValueError, match="no eval set"):
        Callbacks(model, eval_freq=1)


def test_the_hdf5_file(tmp_path, capsys):
    path, model = tmp_path / "run.h5", Model()
    callbacks = Callbacks(
        model,
        output_file=str(path),
        eval_freq=2,
        eval_set=Data(),
        metric=Misclassification(),
        model_file="weights.prm",
    )
    train(callbacks, model, epochs=5)
    assert model.loaded == "weights.prm"
    with h5py.File(path) as file:
        assert dict(file["config"].attrs) == {"total_minibatches": 15, "total_epochs": 5}
        costs = np.arange(15)
        running = [costs[max(0, i - 9) : i + 1].mean() for i in costs]
        np.testing.assert_allclose(file["cost/train"], running)
        assert file["cost/train"].attrs["time_markers"] == "minibatch"
        batches = [x.get()[:, : min(4, 10 - 4 * i)] for i, (x, _) in enumerate(Data())]
        loss = sum(b.sum() for b in batches) / 10
        np.testing.assert_allclose(file["cost/loss"], [loss, loss], 1e-6)
        assert dict(file["cost/loss"].attrs) == {"time_markers": "epoch_freq", "epoch_freq": 2}
        assert file["time/loss"].shape == (2,)
        np.testing.assert_allclose(file["metrics/Top1Misclass"], [0.25, 0.25])
        assert file["metrics/Top1Misclass"].attrs["epoch_freq"] == 2
        np.testing.assert_array_equal(file["time_markers/minibatch"], [3, 6, 9, 12, 15])
        assert dict(file["time_markers"].attrs) == {
            "epochs_complete": 5,
            "minibatches_complete": 15,
        }
        start, end = (file[f"time/train/{name}_time"] for name in ("start", "end"))
        assert start.dtype == np.float64 and start.attrs["units"] == "seconds"
        assert 0 < start[0] <= end[0]
    assert "CrossEntropyBinary Loss" in capsys.readouterr().out


def test_the_bar():
    line = served.get_progress_string("Train", 3, 5, 10, 0.256, 1.234)
    assert line == "Epoch 3   [Train |██████████          |    5/10   batches, 0.26 cost, 1.23s]"
    line = served.get_progress_string("Train", 0, 1, 1, np.array([1.0, 2.5]), 0.0)
    assert line.endswith("|    1/1    batches, (1.00, 2.50) costs, 0.00s]")


def test_what_is_printed_and_logged(capsys, caplog):
    model = Model()
    callbacks = Callbacks(model, eval_freq=1, eval_set=Data())
    with caplog.at_level(logging.INFO, "neon.callbacks.callbacks"):
        train(callbacks, model)
    out = capsys.readouterr().out
    epochs = [line.split("\r")[-1] for line in out.split("\n")]
    assert epochs[0].startswith(
        "Epoch 0   [Train |████████████████████|    3/3    batches, 1.00 cost"
    )
    assert "] [CrossEntropyBinary Loss 1.0" in epochs[1] and epochs[1].endswith("s]")
    assert "Model:\nthe model" in caplog.text
    assert "Epoch 1 complete.  Train Cost 0.500000.  Eval Cost 1.0" in caplog.text


def test_frequencies():
    class Noted(Callback):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.seen = []

        def on_epoch_end(self, callback_data, model, epoch):
            self.seen.append(epoch)

        def on_minibatch_begin(self, callback_data, model, epoch, minibatch):
            self.seen.append((epoch, minibatch))

    model = Model()
    callbacks = Callbacks(model, progress_bar=False)
    noted = [Noted(epoch_freq=2, minibatch_freq=None), Noted(epoch_freq=[0], minibatch_freq=3)]
    for callback in noted:
        callbacks.add_callback(callback)
    train(callbacks, model, 4)
    assert noted[0].seen == [1, 3]
    assert noted[1].seen == [(0, 2), 0, (1, 2), (2, 2), (3, 2)]


def test_snapshots_are_a_history_and_a_link(tmp_path):
    path, model = tmp_path / "model.prm", Model()
    path.write_text("of another training")
    callbacks = Callbacks(model, save_path=str(path), history=2, progress_bar=False)
    train(callbacks, model, 4)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *("model.prm", "model_2.prm", "model_3.prm")
    ]
    assert os.readlink(path) == "model_3.prm"


def test_the_best_state_is_saved_and_training_stops(tmp_path):
    model = Model()
    callbacks = Callbacks(model, eval_freq=1, eval_set=Data(), progress_bar=False)
    callbacks.add_save_best_state_callback(str(tmp_path / "best.prm"))
    callbacks.add_early_stop_callback(lambda n, cost: ((n or 0) + 1, n == 1))
    train(callbacks, model, 5)
    assert model.finished and callbacks.callbacks[-1].stop_state == 2
    assert (tmp_path / "best.prm").exists()


@pytest.mark.parametrize("saves", [True, False])
def test_an_interrupt_stops_after_the_minibatch(tmp_path, saves):
    path, model = tmp_path / "m.prm", Model()
    before = signal.getsignal(signal.SIGINT)
    callbacks = Callbacks(model, save_path=str(path) if saves else None, progress_bar=False)
    callbacks.on_train_begin(1)
    os.kill(os.getpid(), signal.SIGINT)
    model.cost.cost = 1.0
    with pytest.raises(KeyboardInterrupt, match="Checkpoint" if saves else "^$"):
        callbacks.on_minibatch_end(0, 0)
    assert path.exists() == saves
    assert signal.getsignal(signal.SIGINT) is before


def test_costs_of_branches():
    inner = Multicost([Cost(), Cost()])
    model = Model(Multicost([Cost(CrossEntropyBinary()), inner, Cost()]))
    for value, cost in zip(
        (9.0, 3.0, 1.0, 2.0), (model.cost.costs[0], *inner.costs, model.cost.costs[2]), strict=True
    ):
        cost.cost = np.array([[value]])
    callbacks = Callbacks(model, progress_bar=False, multicost=True)
    callbacks.on_train_begin(1)
    callbacks.on_minibatch_end(0, 0)
    file = callbacks.callback_data
    np.testing.assert_allclose(file["multicost/train"][0], [9, 3, 2])
    np.testing.assert_allclose(file["multicost/train_allbranches"][0], [4, 2, 1, 2])


def test_histograms():
    model = Model()
    weights = NervanaObject.be.array([[0.0, 1.0, -4.0, 3.9]])
    layer = SimpleNamespace(name="Linear_0", W=weights)
    model.layers = SimpleNamespace(layers=[layer, SimpleNamespace(name="Tanh")])
    callbacks = Callbacks(model, progress_bar=False)
    callbacks.add_hist_callback()
    callbacks.on_train_begin(2)
    callbacks.callbacks[-1].on_epoch_end(callbacks.callback_data, model, 1)
    group = callbacks.callback_data["hist"]
    assert dict(group.attrs) == {
        "bins": 64,
        "offset": -48,
        "time_markers": "epoch",
        "time_steps": 2,
    }
    counts = group["Linear_0_0_W"]
    assert counts.shape == (64, 2) and counts[:, 0].sum() == 0
    assert {int(i) - 48: int(counts[i, 1]) for i in np.flatnonzero(counts[:, 1])} == {
        -48: 1,
        0: 1,
        2: 2,
    }


def test_statistics_of_labels(capsys):
    callback = served.MultiLabelStatsCallback(Data(), ["cat", "dog"], PrecisionRecall(2))
    callback.on_epoch_end(None, Model(), 0)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].startswith("[Precision: ") and lines[1].endswith("-> dog")


def test_samples_of_a_gan_are_drawn(tmp_path, backend):
    image = pytest.importorskip("PIL.Image")
    model = Model(Cost(SimpleNamespace(func="wasserstein")))
    model.data_batch = model.noise_batch = backend.array(np.zeros((16, BATCH)))
    model.current_batch = model.last_gen_batch = model.gen_iter = 2
    model.cost_dis = np.array([-0.5], np.float32)
    callbacks = Callbacks(model, progress_bar=False)
    callbacks.add_callback(served.GANCostCallback())
    stem = str(tmp_path / "gan")
    callbacks.add_callback(plotting_callbacks.GANPlotCallback(stem, hw=4, num_samples=3))
    train(callbacks, model, 1)
    assert image.open(f"{stem}_noise_000.png").size == (10, 10)
    assert image.open(f"{stem}_data_000.png").getpixel((0, 0)) == (255, 255, 255)
    assert image.open(f"{stem}_training.png").size == (400, 300)


def test_medians_run():
    found = plotting_callbacks.running_median(np.array([5.0, 1, 4, 2, 3]), 3)
    np.testing.assert_array_equal(found, [1, 4, 2, 3, 2])


def test_descriptions_have_neons_paths():
    callbacks = Callbacks(Model())
    described = callbacks.get_description()["callbacks"]
    assert described[0]["type"] == "neon.callbacks.callbacks.TrainCostCallback"
    loss = served.LossCallback(Data(), 2)
    assert loss.get_description()["config"]["epoch_freq"] == 2
