import numpy as np
import pytest

from anode import layers as nn
from anode.data import Batches
from anode.errors import CheckpointError, DataError, GraphError, UnsupportedOp

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 6)).astype(np.float32)
LABELS = (X @ RNG.standard_normal((6, 3))).argmax(1).astype(np.uint8)
COST = nn.CrossEntropyMulti()


def network(backend="reference", **options):
    layers = [
        nn.Affine(16, bias=0.0, batch_norm=False, activation=nn.Rectlin()),
        nn.Linear(16),
        nn.BatchNorm(),
        nn.Dropout(0.9),
        nn.Affine(3, bias=0.0, activation=nn.Softmax()),
    ]
    return nn.Model(layers, backend=backend, **options)


def batches(size=8, seed=3, **options):
    return Batches((X, LABELS), size, seed=seed, **options)


def optimizer():
    return nn.Adam(0.01, schedule=nn.PowerSchedule(2, 0.5))


def bits(model):
    return {variable.name: array.tobytes() for variable, array in model.state.items()}


def test_learns_exclusive_or(backend):
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    t = np.array([[0], [1], [1], [0]], np.float32)
    model = nn.Model(
        [
            nn.Affine(8, nn.Gaussian(), bias=0.0, activation=nn.Tanh()),
            nn.Affine(1, nn.Gaussian(), bias=0.0, activation=nn.Logistic()),
        ],
        backend=backend,
    )
    data = [(x, t)] * 100
    history = model.fit(data, nn.CrossEntropyBinary(), nn.GradientDescentMomentum(0.5, 0.9), 2)
    assert history["cost"][1] < 0.02
    assert model.eval([(x, t)], nn.Accuracy()) == {"Accuracy": 1}
    assert np.array_equal(model.predict(x) > 0.5, t > 0.5)


def test_learns_classes_with_batch_norm_and_dropout(backend):
    model = network(backend)
    history = model.fit(batches(), COST, nn.Adam(0.01), 30)
    assert len(history["cost"]) == 30 and len(history.costs) == 150
    assert history["cost"][-1] < history["cost"][0] / 2
    assert model.eval(batches(7, last="keep"), nn.Accuracy())["Accuracy"] > 0.9


def test_the_cost_is_the_mean_of_the_minibatches():
    history = network().fit(batches(), COST, optimizer(), 2)
    means = [np.mean(costs) for costs in np.split(np.array(history.costs), 2)]
    assert history["cost"] == pytest.approx(means)
    assert history.running(3)[:4] == pytest.approx(
        [np.mean(history.costs[max(0, i - 3) : i]) for i in range(1, 5)]
    )


def test_the_step_is_one_graph_compiled_once_for_each_size():
    model = network()
    step = model.training_step(COST, optimizer())
    for size in (8, 5, 8):
        loss = step(X[:size], LABELS[:size])
        assert loss.shape == () and loss.dtype == np.float32
    assert [exe.bindings[0].runs for exe in step.executables.values()] == [2, 1]
    (graph, _) = (exe.graph for exe in step.executables.values())
    assert graph.input_names == ("x", "y") and graph.output_names == ("cost",)
    assert len(graph.updates) == len(model.state) - 1  # all but the learning rate


def test_seeds_decide_all_bits():
    def run(seed):
        model = network(seed=seed)
        model.fit(batches(), COST, optimizer(), 2)
        return bits(model)

    assert run(1) == run(1)
    assert all(run(1)[name] != run(2)[name] for name in ("Linear_0.weight", "random"))


@pytest.mark.parametrize("stop", [5, 7, 10])  # minibatches; an epoch has five
def test_resuming_gives_the_same_bits(tmp_path, stop, backend):
    path = tmp_path / "model.safetensors"
    whole = network(backend)
    evaluate = nn.Evaluate(batches(7, last="keep"), nn.Accuracy())
    whole.fit(batches(), COST, optimizer(), 4, [evaluate, nn.EarlyStop(100)])

    class Kill(nn.Callback):
        order = 100

        def on_minibatch_end(self, run):
            if len(run.model.history.costs) == stop and run.batch < 5:
                raise KeyboardInterrupt

        def on_epoch_end(self, run):
            if len(run.model.history.costs) == stop:
                raise KeyboardInterrupt

    first = network(backend)
    saving = [nn.Checkpoint(path, minibatches=1), nn.EarlyStop(100)]
    with pytest.raises(KeyboardInterrupt):
        first.fit(batches(), COST, optimizer(), 4, [evaluate, *saving, Kill()])

    second = network(backend, seed=99)
    second.load(path)
    assert (second.progress.epoch, second.progress.batch) == divmod(stop, 5)
    history = second.fit(batches(), COST, optimizer(), 4, [evaluate, nn.EarlyStop(100)])
    assert bits(second) == bits(whole)
    assert history.costs == whole.history.costs
    assert history.epochs == whole.history.epochs
    assert np.array_equal(second.predict(X), whole.predict(X))


@pytest.mark.parametrize("place", [batches, lambda: list(batches(seed=None))])
def test_resuming_between_the_last_minibatch_and_the_end_of_its_epoch(tmp_path, place):
    class Kill(nn.Callback):
        order = 95

        def on_minibatch_end(self, run):
            if run.batch == 5:
                raise KeyboardInterrupt

    measured = nn.Evaluate(batches(7, last="keep"), nn.Accuracy())
    whole, first, second = network(), network(), network()
    whole.fit(place(), COST, optimizer(), 3, [measured])
    with pytest.raises(KeyboardInterrupt):
        saving = nn.Checkpoint(tmp_path / "m", minibatches=5)
        first.fit(place(), COST, optimizer(), 3, [measured, saving, Kill()])
    second.load(tmp_path / "m")
    history = second.fit(place(), COST, optimizer(), 3, [measured])
    assert bits(second) == bits(whole)
    assert history.costs == whole.history.costs and history.epochs == whole.history.epochs


def test_stopping_at_the_last_minibatch_ends_the_epoch():
    class Stop(nn.Callback):
        def on_minibatch_end(self, run):
            run.stopped = run.batch == 5

    model, whole, data = network(), network(), batches()
    model.fit(data, COST, optimizer(), 2, [Stop()])
    assert (model.progress.epoch, model.progress.batch) == (1, 0)
    model.fit(data, COST, optimizer(), 2)
    whole.fit(batches(), COST, optimizer(), 2)
    assert bits(model) == bits(whole)


def test_resuming_with_a_plain_list(tmp_path):
    data = list(batches(seed=None))
    whole, first, second = network(), network(), network()
    whole.fit(data, COST, optimizer(), 2)

    class Stop(nn.Callback):
        def on_minibatch_end(self, run):
            run.stopped = len(run.model.history.costs) == 7

    first.fit(data, COST, optimizer(), 2, [Stop()])
    first.save(tmp_path / "m")
    second.load(tmp_path / "m")
    second.save(tmp_path / "again")  # what was not taken up yet is not lost
    second.load(tmp_path / "again")
    second.fit(data, COST, optimizer(), 2)
    assert bits(second) == bits(whole)
    first.fit(data, COST, optimizer(), 2)
    assert bits(first) == bits(whole)


def test_loading_into_a_trained_model(tmp_path):
    model = network()
    model.fit(batches(), COST, optimizer(), 1)
    model.save(tmp_path / "m")
    saved = bits(model)
    model.fit(batches(), COST, optimizer(), 3)
    model.load(tmp_path / "m")
    assert model.history["cost"] == model.history["cost"][:1]
    step = model.training_step(COST, optimizer())
    step.set_epoch(0)
    step.attach(step.compile(X[:8], LABELS[:8]).graph)
    assert bits(model) == saved


def test_epochs_count_from_the_start():
    model = network()
    data = batches()
    model.fit(data, COST, optimizer(), 2)
    model.fit(data, COST, optimizer(), 2)
    assert len(model.history["cost"]) == 2
    model.fit(data, COST, optimizer(), 3)
    assert len(model.history["cost"]) == 3


def test_only_the_weights(tmp_path):
    model, other = network(), network(seed=1)
    model.fit(batches(), COST, optimizer(), 1)
    model.save(tmp_path / "m")
    other.load(tmp_path / "m", weights_only=True)
    assert np.array_equal(other.predict(X), model.predict(X))
    assert other.progress.epoch == 0
    assert other.state.named("random").tolist() == [1, 0, 0, 0]
    other.fit(batches(), COST, nn.RMSProp(), 1)


def test_checkpoints_that_do_not_fit(tmp_path):
    model = network()
    with pytest.raises(GraphError, match="no variables yet"):
        model.save(tmp_path / "m")
    model.fit(batches(), COST, optimizer(), 1)
    model.save(tmp_path / "m")
    other = nn.Model([nn.Linear(16), nn.Linear(5, name="new")], backend="reference")
    with pytest.raises(CheckpointError) as raised:
        other.load(tmp_path / "m")
    for text in ("new.weight is missing", "Bias_0.bias is unexpected", str(tmp_path / "m")):
        assert text in str(raised.value)
    changed = network()
    changed.load(tmp_path / "m")
    with pytest.raises(CheckpointError, match=r"no optimizer\..*mean_square.*weights_only=True"):
        changed.fit(batches(), COST, nn.RMSProp(), 2)
    from anode.runtime import checkpoint

    checkpoint.save(tmp_path / "other", {})
    with pytest.raises(CheckpointError, match="no checkpoint of a model"):
        network().load(tmp_path / "other")


def test_a_checkpoint_that_cannot_be_written_is_known_before_training(tmp_path):
    model = network()
    (tmp_path / "file").touch()
    for folder in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(CheckpointError, match=rf"{folder} is no folder"):
            model.fit(batches(), COST, optimizer(), 1, [nn.Checkpoint(folder / "m")])
    assert not model.history.costs


def test_callbacks_run_in_order(tmp_path):
    seen = []

    class Spy(nn.Callback):
        def on_train_begin(self, run):
            seen.append("train")

        def on_epoch_begin(self, run):
            seen.append(f"epoch {run.epoch}")

        def on_minibatch_begin(self, run):
            seen.append(f"begin {run.batch}")

        def on_minibatch_end(self, run):
            seen.append(f"end {run.batch} of {run.batches}, {run.rows} rows")

        def on_epoch_end(self, run):
            assert "Accuracy" in run.model.history.epochs
            assert not (tmp_path / "1").exists()
            seen.append("epoch end")

        def on_train_end(self, run):
            assert (tmp_path / "1").exists()
            seen.append("train end")

    evaluate = nn.Evaluate(batches(), nn.Accuracy())
    saving = nn.Checkpoint(tmp_path / "{epoch}")
    network().fit(batches(20), COST, optimizer(), 1, [saving, Spy(), evaluate])
    assert seen == [
        "train", "epoch 0", "begin 0", "end 1 of 2, 20 rows", "begin 1", "end 2 of 2, 40 rows",
        "epoch end", "train end",
    ]  # fmt: skip


def test_evaluate_every_second_epoch():
    history = network().fit(batches(), COST, optimizer(), 4, [nn.Evaluate(batches(), COST, 2)])
    assert len(history["CrossEntropyMulti"]) == 2 and len(history["cost"]) == 4


def test_early_stopping():
    def third(state, value):
        state = (state or 0) + 1
        return state, state == 3

    history = network().fit(batches(), COST, optimizer(), 9, [nn.EarlyStop(stop_func=third)])
    assert len(history["cost"]) == 3
    frozen = nn.GradientDescentMomentum(0.0)
    stop = nn.EarlyStop(2, "Top1Misclass")
    evaluate = nn.Evaluate(batches(), nn.Misclassification())
    model = nn.Model([nn.Affine(3, activation=nn.Softmax())], backend="reference")
    assert len(model.fit(batches(), COST, frozen, 9, [stop, evaluate])["cost"]) == 3
    with pytest.raises(UnsupportedOp, match="history has no 'Accuracy'; it has cost"):
        network().fit(batches(), COST, optimizer(), 2, [nn.EarlyStop(2, "Accuracy")])
    with pytest.raises(TypeError, match="either patience or stop_func"):
        nn.EarlyStop()


def test_progress_as_lines():
    lines = []
    network().fit(batches(), COST, optimizer(), 2, [nn.Progress(lines.append)])
    assert len(lines) == 2
    assert lines[0].startswith("Epoch 1/2: cost ") and "rows/s" in lines[0] and "left" in lines[0]


def test_data_that_end():
    with pytest.raises(DataError, match="no minibatch"):
        network().fit(iter(list(batches())), COST, optimizer(), 2)


def test_preprocessing_is_part_of_the_step():
    images = RNG.integers(0, 256, (8, 28, 28), np.uint8)
    model = nn.Model(
        [nn.Affine(10, activation=nn.Softmax())], preprocess=nn.unit_range, backend="reference"
    )
    model.fit([(images, np.arange(8) % 3)], COST, optimizer(), 1)
    assert model.predict(images).shape == (8, 10)
