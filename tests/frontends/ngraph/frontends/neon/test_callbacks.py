import numpy as np
import pytest

pytest.importorskip("configargparse")
pytest.importorskip("tqdm")
from anode.frontends.ngraph.frontends.neon import callbacks
from anode.frontends.ngraph.frontends.neon3 import callbacks as neon3

h5py = pytest.importorskip("h5py")


class Data:
    """Three minibatches of two of five samples."""

    ndata = 5

    def reset(self):
        pass

    def __iter__(self):
        return iter(
            [{"x": np.array(row), "label": np.array([0, 1])} for row in ([1, 2], [3, 4], [5, 9])]
        )


class Losses:
    output_keys = ("loss",)

    def __call__(self, data):
        return {"loss": data["x"] * 1.0}


def trained(path, module=callbacks, **arguments):
    made = module.make_default_callbacks(
        None,
        str(path),
        2,
        lambda data: {"batch_cost": data["x"].sum()},
        3,
        eval_set=Data(),
        loss_computation=Losses(),
        use_progress_bar=False,
        **arguments,
    )
    if module is callbacks:
        module.loop_train(Data(), None, made)
    else:
        module.loop_train(Data(), made)
    made.callback_data.close()
    return h5py.File(path, "r")


def test_file_and_lines(tmp_path, capsys):
    with trained(tmp_path / "out.hdf5") as file:
        assert file["config"].attrs["total_iterations"] == 3
        assert file["cost/train"][:].tolist() == [3, 7, 14]
        assert file["cost/train"].attrs["time_markers"] == "minibatch"
        assert file["cost/loss"][:].tolist() == [3] and file["time/loss"].shape == (1,)
    assert capsys.readouterr().out.splitlines() == [
        "Interval 1 Iteration 2 complete.  Avg Train cost: 3.0",
        "Interval 1 Iteration 2 complete.  Avg losses: {'loss': 3.0}",
        "Training complete.  Avg losses: {'loss': 3.0}",
    ]


def test_a_file_is_overwritten(tmp_path, caplog):
    (tmp_path / "out.hdf5").write_text("old")
    trained(tmp_path / "out.hdf5").close()
    assert "Overwriting output file" in caplog.text


def test_containers_do_not_share_callbacks():
    first, second = (callbacks.CallbackContainer(None, None, 1) for _ in range(2))
    first.append(callbacks.Callback())
    first.insert(0, callbacks.RunTimerCallback())
    assert len(list(first)) == 2 and not list(second)
    first(callbacks.CallbackPhase.train_pre_)
    first(callbacks.CallbackPhase.train_post)
    times = first.callback_data["time/train"]
    assert times["start_time"][0] <= times["end_time"][0]


def test_a_progress_bar_counts(capsys):
    container = callbacks.CallbackContainer(None, None, 2, [callbacks.ProgressCallback()])
    for phase in ("train_pre_", "minibatch_post", "minibatch_post", "train_post"):
        container(callbacks.CallbackPhase[phase], {}, 0)
    assert "Overall: 100%" in capsys.readouterr().err


class Classes(Losses):
    def __call__(self, data):
        found = np.array([[0.9, 0.8], [0.1, 0.2], [0, 0], [0, 0], [0, 0], [0, 0]])
        return {"loss": data["x"] * 1.0, "results": found}


def test_neon_3_counts_right_results():
    assert neon3.loop_eval(Data(), Classes()) == {"loss": 3.0, "top_1_acc": 0.6}
    assert neon3.loop_eval(Data(), Classes(), enable_top5=True)["top_5_acc"] == 1.0


def test_neon_3_trains_and_feeds(tmp_path):
    with trained(tmp_path / "out.hdf5", neon3, enable_top5=True) as file:
        assert file["cost/train"][:].tolist() == [3, 7, 14]
        assert {"loss", "top_1_acc", "top_5_acc", "train"} == set(file["cost"])
    data, feed = {}, neon3.FeedAddWrapper(lambda step, by: step * by, "rate", {"by": 3})
    feed(data, 2)
    assert data == {"rate": 6}
    neon3.FeedAddWrapper(clear_feed=True)(data, 0)
    assert data == {}


def test_neon_3_saves():
    saved = []
    saver = type("Saver", (), {"save": lambda self, filename: saved.append(filename)})()
    callback = neon3.TrainSaverCallback(saver, "net", 2)
    for index in range(4):
        callback(None, None, neon3.CallbackPhase.minibatch_post, None, index)
    assert saved == ["net_1", "net_3"]
