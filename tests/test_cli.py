"""The command line: training that resumes, reports, and one sentence for whatever goes wrong."""

import errno
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anode.cli import main
from anode.data import load_mnist
from anode.frontends import layers as nn
from anode.runtime import checkpoint

ROOT = Path(__file__).parent.parent
SMALL = ("--hidden", "12", "--batch", "50")
NAMES = {"train": "train", "test": "t10k"}


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(header + array.tobytes())


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """A folder with the first 500 training and 200 test images of MNIST."""
    folder = tmp_path_factory.mktemp("digits")
    for part, rows in (("train", 500), ("test", 200)):
        images = getattr(load_mnist(), part)[:rows]
        write_idx(folder / f"{NAMES[part]}-images-idx3-ubyte", images.images)
        write_idx(folder / f"{NAMES[part]}-labels-idx1-ubyte", images.labels)
    return folder


@pytest.fixture
def drawn():
    """Asks for the pictures that training ends with."""


@pytest.fixture(autouse=True)
def undrawn(request, monkeypatch):
    """Leaves the pictures out elsewhere: on so little data they take as long as training."""
    if "drawn" not in request.fixturenames:
        for name in ("draw_digits", "learning_curves"):
            monkeypatch.setattr(f"anode.commands.train.{name}", lambda *args: None)


@pytest.fixture
def fails(capsys, monkeypatch):
    """Runs a command that must fail with `code` and one sentence that has all of `words`."""
    monkeypatch.delenv("ANODE_TRACEBACK", raising=False)

    def check(*arguments, code: int, words: tuple[str, ...]) -> None:
        assert main([str(argument) for argument in arguments]) == code
        error = capsys.readouterr().err
        assert error.startswith("anode: ") and error.count("\n") == 1, error
        assert not [word for word in words if word not in error], error
        assert "Traceback" not in error and "is a bug" not in error

    return check


def train(digits: Path, out: Path, *options) -> int:
    folders = ["--data", str(digits), "--out", str(out)]
    return main(["train", "mnist", *SMALL, *folders, *map(str, options)])


def kept(out: Path) -> tuple[dict[str, np.ndarray], dict]:
    arrays, meta = checkpoint.load(out / "checkpoint.safetensors")
    return dict(arrays), meta["callbacks"]["History_0"]


def assert_same(one: Path, other: Path) -> None:
    """Two runs ended with the same bits of weights, optimiser and history."""
    (arrays, history), (others, other_history) = kept(one), kept(other)
    assert arrays.keys() == others.keys()
    assert all(arrays[name].tobytes() == others[name].tobytes() for name in arrays)
    assert history == other_history


# training


def test_training_shows_sizes_and_epochs_and_writes_its_files(drawn, digits, tmp_path, capsys):
    assert train(digits, tmp_path, "--epochs", 3) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "500 training and 200 test images, 10 minibatches of 50"
    assert ["Linear_0", "f32[50,12]", "9,408"] in [line.split() for line in lines]
    assert any("compiled in" in line for line in lines)
    assert any("planned peak" in line for line in lines)
    rows = [line.split() for line in lines if line.split()[:1] in (["1"], ["2"], ["3"])]
    history = kept(tmp_path)[1]["epochs"]
    assert [row[1] for row in rows] == [f"{cost:.4f}" for cost in history["cost"]]
    assert [row[3] for row in rows] == [f"{100 * share:.2f}" for share in history["Accuracy"]]
    assert f"test accuracy {100 * history['Accuracy'][-1]:.2f} %" in lines[-4]
    for name in ("curves.png", "digits.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_training_learns(digits, tmp_path):
    assert train(digits, tmp_path, "--epochs", 8) == 0
    history = kept(tmp_path)[1]["epochs"]
    assert history["Accuracy"][-1] > 0.7 > history["Accuracy"][0]
    assert history["cost"][-1] < history["cost"][0] / 3


@pytest.mark.parametrize(
    "options",
    [
        "--model mlp-bn --activation elu --optimizer sgd",
        "--activation tanh --optimizer adam --schedule exp:0.1 --dropout 0.3",
        "--activation logistic --optimizer nesterov --momentum 0.8 --schedule step:1,2:0.1",
        "--hidden 8,6 --init kaiming --optimizer rmsprop --schedule poly:4:0.9",
        "--optimizer adagrad --schedule power:2:0.5 --seed 7",
        "--optimizer adadelta --threads 1",
    ],
)
def test_every_option_trains(digits, tmp_path, options):
    assert train(digits, tmp_path, "--epochs", 2, *options.split()) == 0
    first, last = kept(tmp_path)[1]["epochs"]["cost"]
    assert np.isfinite([first, last]).all()


def test_the_reference_backend_trains_to_nearly_the_same(digits, tmp_path):
    assert train(digits, tmp_path / "a", "--epochs", 1) == 0
    assert train(digits, tmp_path / "b", "--epochs", 1, "--backend", "reference") == 0
    (ours, _), (reference, _) = kept(tmp_path / "a"), kept(tmp_path / "b")
    for name in ours:
        np.testing.assert_allclose(ours[name], reference[name], rtol=1e-3, atol=1e-5)


def test_threads_do_not_change_the_bits(digits, tmp_path):
    for threads in (1, 2):
        assert train(digits, tmp_path / str(threads), "--epochs", 2, "--threads", threads) == 0
    assert_same(tmp_path / "1", tmp_path / "2")


@pytest.mark.parametrize("given", ["part/checkpoint.safetensors", "part"])
def test_resuming_ends_with_the_same_bits(digits, tmp_path, given):
    options = ("--optimizer", "adam", "--dropout", 0.2, "--model", "mlp-bn", "--epochs")
    assert train(digits, tmp_path / "whole", *options, 4) == 0
    assert train(digits, tmp_path / "part", *options, 2) == 0
    assert main(["train", "mnist", "--resume", str(tmp_path / given), "--epochs", "4"]) == 0
    assert_same(tmp_path / "whole", tmp_path / "part")


def started(digits: Path, out: Path, epochs: int) -> subprocess.Popen:
    """A training process whose second epoch is over."""
    command = [sys.executable, "-m", "anode.cli", "train", "mnist", *SMALL, "--epochs", str(epochs)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    folders = ["--data", str(digits), "--out", str(out)]
    process = subprocess.Popen([*command, *folders], cwd=ROOT, **pipes)
    assert process.stdout is not None
    while not (line := process.stdout.readline()).startswith("         2"):
        assert line, process.communicate()
    return process


def test_a_killed_run_resumes_to_the_same_bits(digits, tmp_path):
    process = started(digits, tmp_path / "killed", 100_000)
    process.kill()
    process.communicate()
    done = len(kept(tmp_path / "killed")[1]["epochs"]["cost"])
    saved = tmp_path / "killed/checkpoint.safetensors"
    resume = ["train", "mnist", "--resume", str(saved), "--epochs", str(done + 2)]
    assert main(resume) == 0
    assert train(digits, tmp_path / "whole", "--epochs", done + 2) == 0
    assert_same(tmp_path / "whole", tmp_path / "killed")


def test_interrupting_says_where_the_checkpoint_is(digits, tmp_path):
    process = started(digits, tmp_path, 100_000)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert error.startswith("anode: stopped after ") and error.count("\n") == 1
    assert str(tmp_path / "checkpoint.safetensors") in error
    assert kept(tmp_path)


def test_interrupting_the_first_epoch(digits, tmp_path, monkeypatch, fails):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(nn.TrainingStep, "__call__", interrupt)
    options = ("--data", digits, "--out", tmp_path, *SMALL)
    fails("train", "mnist", *options, code=130, words=("first epoch",))


def test_the_bar_in_a_terminal(digits, tmp_path):
    """With a terminal as output, the bar shows loss and speed, and the rows stay."""
    pty = pytest.importorskip("pty")
    parent, child = pty.openpty()
    options = [*SMALL, "--data", str(digits), "--out", str(tmp_path), "--epochs", "400"]
    process = subprocess.Popen(
        [sys.executable, "-m", "anode.cli", "train", "mnist", *options],
        cwd=ROOT, stdout=child, stderr=child, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(child)
    shown = b""
    try:
        while b"images/s" not in shown.split(b"seconds")[-1] or b"/400" not in shown:
            shown += os.read(parent, 4096)
    finally:
        process.kill()
        process.wait()
        os.close(parent)
    assert b"loss " in shown and b"epoch " in shown


# what can go wrong


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("train minst", ("'minst'", "mnist")),
        ("train mnist --model mpl", ("'mpl'", "mlp")),
        ("train mnist --activation rleu", ("'rleu'", "relu", "elu")),
        ("train mnist --optimizer adma", ("'adma'", "adam")),
        ("train mnist --init gauss", ("'gauss'", "gaussian")),
        ("train mnist --hidden 30,x", ("--hidden 30,x", "300,100")),
        ("train mnist --hidden 30,-1", ("--hidden 30,-1",)),
        ("train mnist --batch 0", ("--batch 0",)),
        ("train mnist --epochs 0", ("--epochs 0",)),
        ("train mnist --dropout 1", ("--dropout 1",)),
        ("train mnist --rate -0.1", ("--rate -0.1",)),
        ("train mnist --rate nan", ("--rate nan",)),
        ("train mnist --momentum 1", ("--momentum 1",)),
        ("train mnist --seed -1", ("seed", "-1")),
        ("train mnist --threads 0", ("--threads 0",)),
        ("train mnist --threads 2 --backend reference", ("--threads", "reference")),
        ("train mnist --backend gpu", ("'gpu'", "cpu", "reference")),
        ("train mnist --schedule step:1", ("--schedule step:1", "poly")),
        ("train mnist --schedule cosine", ("--schedule cosine",)),
        ("train mnist --schedule power:0:0.5", ("--schedule power:0:0.5",)),
        ("train mnist --optimizer adam --momentum 0.9", ("adam", "momentum")),
        ("train mnist --fashion", ("Fashion-MNIST", "--data")),
        ("train mnist --data /nowhere", ("/nowhere", "train-images-idx3-ubyte")),
        ("train mnist --resume /nowhere.safetensors", ("/nowhere.safetensors",)),
        ("explain minst", ("'minst'", "mnist")),
        ("explain alexnet --rate 0.1", ("--rate", "alexnet", "--batch")),
        ("train mnist --model lenet --hidden 30", ("--hidden", "lenet")),
        ("bench lenett", ("'lenett'", "lenet")),
        ("bench lenet --runs 0", ("--runs 0",)),
        ("bench lenet --batch 0", ("--batch 0",)),
        ("bench lenet --threads 0", ("--threads 0",)),
        ("bench lenet --skip -1", ("--skip -1",)),
        ("bench lenet --threads 2 --backend reference", ("--threads", "reference")),
        ("explain lenet --batch 0", ("--batch 0",)),
        ("explain mnist --threads 0", ("--threads 0",)),
        ("explain mnist --size n=3", ("--size",)),
        ("explain mnist --html none/page.html", ("none/page.html: ",)),
        ("explain mnist --name Lineer_0", ("'Lineer_0'", "Linear_0")),
        (f"explain {__file__}", ("no graph's text", f"anode run --report {__file__}")),
    ],
)
def test_one_sentence_for_bad_values(arguments, words, tmp_path, monkeypatch, fails):
    monkeypatch.chdir(tmp_path)
    fails(*arguments.split(), code=1, words=words)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("trian mnist", ("trian",)),
        ("train mnist --activaton relu", ("--activaton", "--activation")),
        ("train mnist --epochs many", ("--epochs", "integer")),
        ("train", ("Missing argument",)),
    ],
)
def test_one_sentence_for_wrong_use(arguments, words, fails):
    fails(*arguments.split(), code=2, words=words)


@pytest.fixture
def damaged(digits, tmp_path) -> Path:
    """A copy of the digits to be damaged."""
    return Path(shutil.copytree(digits, tmp_path / "data"))


def test_missing_files(damaged, fails):
    (damaged / "t10k-labels-idx1-ubyte").unlink()
    words = (str(damaged), "t10k-labels-idx1-ubyte")
    fails("train", "mnist", "--data", damaged, code=1, words=words)


def test_truncated_images(damaged, fails):
    path = damaged / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1000])
    fails("train", "mnist", "--data", damaged, code=1, words=(str(path),))


def test_a_batch_larger_than_the_data(digits, tmp_path, fails):
    options = ("--data", digits, "--out", tmp_path / "out", "--batch", 501)
    fails("train", "mnist", *options, code=1, words=("501", "500"))


def test_a_folder_that_cannot_be_made(digits, tmp_path, fails):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file/out"
    fails("train", "mnist", "--data", digits, "--out", out, code=1, words=("--out", str(out)))


@pytest.fixture
def trained(digits, tmp_path) -> Path:
    """The checkpoint of a run of one epoch."""
    assert train(digits, tmp_path / "run", "--epochs", 1) == 0
    return tmp_path / "run/checkpoint.safetensors"


def test_a_damaged_checkpoint(trained, fails):
    content = bytearray(trained.read_bytes())
    content[-7] ^= 1
    trained.write_bytes(content)
    options = ("--resume", trained, "--epochs", 2)
    fails("train", "mnist", *options, code=1, words=(str(trained), "damaged"))
    assert trained.read_bytes() == content


def test_a_checkpoint_of_another_model(trained, fails):
    before = trained.read_bytes()
    options = ("--resume", trained, "--epochs", 2, "--hidden", 13)
    words = (str(trained), "Linear_0.weight", "[784, 12]", "[784,13]")
    fails("train", "mnist", *options, code=1, words=words)
    assert trained.read_bytes() == before


def test_a_checkpoint_of_another_optimizer(trained, fails):
    before = trained.read_bytes()
    options = ("--resume", trained, "--epochs", 2, "--optimizer", "adam")
    fails("train", "mnist", *options, code=1, words=("first_moment", "same optimiser"))
    assert trained.read_bytes() == before


def test_a_checkpoint_of_something_else(tmp_path, fails):
    path = tmp_path / "other.safetensors"
    checkpoint.save(path, {"a": np.zeros(3, np.float32)})
    fails("train", "mnist", "--resume", path, code=1, words=(str(path), "anode train"))


def test_a_folder_without_a_checkpoint(tmp_path, fails):
    fails("train", "mnist", "--resume", tmp_path, code=1, words=(str(tmp_path), "No such file"))


def test_a_run_that_is_finished(trained, fails):
    fails("train", "mnist", "--resume", trained, code=1, words=("1 epoch", "--epochs"))


def test_a_full_disk_leaves_the_last_checkpoint(trained, monkeypatch, fails):
    before = trained.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    options = ("--resume", trained, "--epochs", 2)
    fails("train", "mnist", *options, code=1, words=(str(trained), "No space left"))
    assert trained.read_bytes() == before
    assert [path.name for path in trained.parent.glob(".*")] == []


def test_the_whole_traceback_on_request(monkeypatch):
    monkeypatch.setenv("ANODE_TRACEBACK", "full")
    with pytest.raises(NotImplementedError, match="'rleu'"):
        main(["train", "mnist", "--activation", "rleu"])


def test_without_typer(monkeypatch, fails):
    monkeypatch.setitem(sys.modules, "typer", None)
    fails("doctor", code=1, words=("pip install 'anode[cli]'", "typer"))


# the other commands


def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("anode 0.")
    for arguments in ([], ["--help"]):
        assert main(arguments) == 0
        text = capsys.readouterr().out
        assert all(command in text for command in ("train", "explain", "doctor"))


def test_explaining_the_training_step(capsys):
    assert main(["explain", "mnist", "--hidden", "20", "--batch", "32"]) == 0
    text = capsys.readouterr().out
    assert "f32[784,20]" in text and "Memory" in text and "Refused, and why" in text


def test_explaining_with_times_and_pictures(tmp_path, capsys):
    page, run = tmp_path / "report.html", tmp_path / "run.json"
    files = ["--html", str(page), "--trace", str(run)]
    assert main(["explain", "mnist", "--hidden", "20", "--batch", "32", *files]) == 0
    printed = capsys.readouterr().out
    assert str(page) in printed and str(run) in printed
    assert "GFLOP/s" in page.read_text() and '"traceEvents"' in run.read_text()


def test_explaining_with_times_in_text(capsys):
    """Random keys have no initialiser: they are made up as the minibatch is."""
    assert main(["explain", "mnist", "--dropout", "0.5", "--batch", "32", "--measure"]) == 0
    text = capsys.readouterr().out
    (line,) = re.findall(r"FLOP in all, .*", text)
    assert re.search(r"ms, [\d.]+ GFLOP/s \(\d+ %\), of the peak measured here: ", line)
    assert re.search(r"µs, [\d.]+ GFLOP/s \(\d+ %\), [\d.]+ GB/s \(\d+ %\)\n", text)


def test_explaining_to_a_place_that_is_none(tmp_path, fails):
    nowhere = tmp_path / "nowhere" / "report.html"
    fails("explain", "mnist", "--html", nowhere, code=1, words=("nowhere",))


def test_explaining_one_name(capsys):
    assert main(["explain", "mnist", "--name", "relu"]) == 0
    assert "relu f32[128,100] [" in capsys.readouterr().out


def test_explaining_a_graph(tmp_path, capsys, fails):
    path = tmp_path / "graph.txt"
    path.write_text("anode 1\ngraph @main(%0: f32[n,3]) {\n  %1 = exp(%0)\n  return %1\n}\n")
    assert main(["explain", str(path), "--size", "n=5"]) == 0
    text = capsys.readouterr().out
    assert "exp" in text and "f32[5,3]" in text and f"{path}:3" in text
    fails("explain", path, code=1, words=("--size n=32",))
    fails("explain", path, "--size", "n", code=1, words=("--size n", "n=32"))
    fails("explain", path, "--size", "m=3", "--size", "n=3", code=1, words=("m",))
    fails("explain", path, "--hidden", 3, code=1, words=("--hidden",))
    path.write_text("anode 1\nnonsense\n")
    fails("explain", path, code=1, words=(f"{path}:2",))


def test_the_doctor(capsys):
    assert main(["doctor"]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert {"versions", "processor", "vectors", "cores", "oneDNN"} <= rows.keys()
    assert "LLVM" in rows["versions"] and "bits" in rows["vectors"]


def test_the_example(digits):
    example = runpy.run_path(str(ROOT / "examples/mnist_mlp.py"))
    assert example["main"](digits, 20) > 0.7


@pytest.mark.parametrize("page", ["README.md", "docs/explain.md", "docs/memory.md"])
def test_the_code_on_a_page_runs(page, digits, monkeypatch, capsys):
    small = load_mnist(digits)
    monkeypatch.setattr("anode.data.load_mnist", lambda: small)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    exec(compile(code, page, "exec"), {})
    expected = {"README.md": "Accuracy", "docs/memory.md": "computed again"}
    assert expected.get(page, "relu") in capsys.readouterr().out
