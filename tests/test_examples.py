"""The examples run, on little data; what they learn from all of it is in examples/README.md."""

import runpy
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from anode import data, models
from anode.data import ImageSet, Splits
from anode.frontends.layers.layers import flatten

EXAMPLES = Path(__file__).parent.parent / "examples"
DIGITS = data.load_mnist()


@pytest.fixture(autouse=True)
def little_mnist(monkeypatch):
    little = Splits(DIGITS.train[:1280], None, DIGITS.test[:500])
    monkeypatch.setattr(data, "load_mnist", lambda: little)
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.fixture
def cifar(monkeypatch):
    """Images of two colours with some noise, in place of CIFAR-10."""
    random = np.random.default_rng(0)

    def images(n):
        labels = np.arange(n, dtype=np.uint8) % 2
        pixels = random.integers(0, 100, (n, 32, 32, 3), np.uint8)
        pixels[labels == 1, :, :, 0] += 100
        return ImageSet(pixels, labels, tuple("abcdefghij"))

    splits = Splits(images(160), None, images(40))
    monkeypatch.setattr(data, "load_cifar10", lambda folder: splits)


def main_of(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]


def test_lenet():
    assert main_of("lenet_mnist")(epochs=3) > 0.8


def test_resnet(cifar, tmp_path):
    main = main_of("resnet_cifar10")
    accuracy = main("folder", depth=8, epochs=2, batch=16, out=str(tmp_path))
    assert accuracy > 0.5
    assert (tmp_path / "resnet-8.png").stat().st_size > 1000
    assert main("folder", depth=8, epochs=2, batch=16, out=str(tmp_path)) == accuracy  # resumed


@pytest.mark.slow
def test_allcnn(cifar):
    assert main_of("allcnn_cifar10")("folder", epochs=1, batch=16) >= 0.5


def test_autoencoder(tmp_path):
    error = main_of("autoencoder")(epochs=2, batch=32, out=str(tmp_path / "digits.png"))
    assert error < 0.1
    assert (tmp_path / "digits.png").stat().st_size > 500


def test_multistream():
    assert main_of("multistream_mnist")(epochs=3) > 0.7


def test_skip_connections():
    main = main_of("skip_connections")
    assert main(epochs=2, batch=16) > 0.6 > main(epochs=2, batch=16, plain=True)


@pytest.mark.parametrize("name", ["dcgan_mnist", "wgan_gp_mnist"])
def test_gans(name, tmp_path):
    images = main_of(name)(steps=1, batch=8, out=str(tmp_path / "sheet.png"))
    assert images.shape == (96, 28, 28, 1)
    assert np.isfinite(images).all()
    assert (tmp_path / "sheet.png").exists()


@pytest.fixture
def narrow_alexnet(monkeypatch):
    """AlexNet with 64 hidden units, not 4096: most of its 57 million weights are theirs."""
    whole = models.alexnet

    def narrow(classes):
        layers = flatten(whole(classes))
        for layer in layers:
            if getattr(layer, "nout", None) == 4096:
                layer.nout = 64
        return layers

    monkeypatch.setattr(models, "alexnet", narrow)


@pytest.mark.slow
def test_alexnet(narrow_alexnet, tmp_path):
    """Ingested records, a checkpoint, and a test of it that gives the same errors."""
    from PIL import Image

    random = np.random.default_rng(0)
    for label in range(2):
        folder = tmp_path / "images" / f"class{label}"
        folder.mkdir(parents=True)
        for i in range(4):
            pixels = random.integers(0, 100, (256, 256, 3), np.uint8) + np.uint8(120 * label)
            Image.fromarray(pixels).save(folder / f"{i}.jpg")
    data.ingest(tmp_path / "images", tmp_path / "records")
    options = Namespace(
        records=str(tmp_path / "records"),
        validation=str(tmp_path / "records"),
        epochs=1,
        batch=4,
        seed=0,
        backend=None,
        threads=None,
        save=str(tmp_path / "alexnet.safetensors"),
        model_file=None,
        test_only=False,
    )
    main = main_of("alexnet")
    trained = main(options)
    assert (tmp_path / "alexnet.safetensors").stat().st_size < 100e6  # weights and momenta
    options.test_only, options.model_file = True, options.save
    assert main(options) == trained


def test_speech(tmp_path, capsys):
    """Tones for digits: strings of them are trained on, taken up again, and heard in a wav."""
    pytest.importorskip("kaldi_native_fbank")
    from anode.data.audio import Sound, write_wav

    folder = tmp_path / "recordings"
    folder.mkdir()
    times = np.arange(800) / 8000
    for digit in range(10):
        for take in range(2):
            tone = np.sin(2 * np.pi * (300 + 300 * digit + take) * times) / 2
            write_wav(folder / f"{digit}_anna_{take}.wav", Sound(tone, 8000))
    out = tmp_path / "out"
    script = runpy.run_path(str(EXAMPLES / "speech_ctc.py"))
    small = [str(folder), "--out", str(out), "-b", "reference", "--width", "4", "--batch", "2"]
    small += ["--strings", "8", "--test-strings", "3"]
    rate = script["main"](script["parser"]().parse_args([*small, "--epochs", "1"]))
    assert rate == script["main"](script["parser"]().parse_args([*small, "--epochs", "1"]))
    assert "DigitErrorRate: greedy" in capsys.readouterr().out
    assert (out / "speech.png").exists()
    (sound, *_) = out.glob("*.wav")
    script["demo"](script["parser"]().parse_args([*small, "--demo", str(sound)]))
    assert capsys.readouterr().out.startswith("greedy  ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("resnet_cifar10 none", "none: has no data_batch_1"),
        ("resnet_cifar10 none --depth 21", "none: has no data_batch_1"),
        ("allcnn_cifar10 none", "none: has no data_batch_1"),
        ("alexnet none none --test-only --model-file m", "none/manifest.json: cannot be read"),
        ("lenet_mnist --batch 5000", "batch_size=5000"),
        ("dcgan_mnist --seed -1", "seed=-1"),
        ("wgan_gp_mnist --seed -1", "seed=-1"),
        ("autoencoder --seed -1", "seed=-1"),
        ("skip_connections --seed -1", "seed=-1"),
        ("multistream_mnist --seed -1", "seed=-1"),
        ("char_lm none", "none: "),
        ("sentiment_lstm none", "none: "),
        ("seq2seq_multi30k none", "none"),
        ("speech_ctc none", "none: "),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, *options = arguments.split()
    monkeypatch.setattr("sys.argv", [f"{name}.py", *options])
    with pytest.raises(SystemExit) as raised:
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert str(raised.value).startswith(f"{name}.py: ") and words in str(raised.value)


@pytest.mark.parametrize(
    "arguments",
    [
        "lenet_mnist --epochs 0",
        "dcgan_mnist --steps 0",
        "wgan_gp_mnist --critic-steps 0",
        "alexnet records records --test-only",
    ],
)
def test_options_that_cannot_be(arguments, monkeypatch, capsys):
    name, *options = arguments.split()
    monkeypatch.setattr("sys.argv", [f"{name}.py", *options])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert f"{name}.py: error: " in capsys.readouterr().err


def test_alexnet_is_tested_on_the_classes_it_knows(tmp_path, monkeypatch):
    from PIL import Image

    for part, labels in (("train", (0, 1)), ("valid", (1, 2))):
        for label in labels:
            folder = tmp_path / part / f"class{label}"
            folder.mkdir(parents=True)
            Image.new("RGB", (256, 256)).save(folder / "0.jpg")
        data.ingest(tmp_path / part, tmp_path / f"{part}-records")
    records = [str(tmp_path / f"{part}-records") for part in ("train", "valid")]
    monkeypatch.setattr("sys.argv", ["alexnet.py", *records, "--epochs", "1", "--batch", "1"])
    with pytest.raises(SystemExit, match=r"valid-records has other classes than .*train-records"):
        runpy.run_path(str(EXAMPLES / "alexnet.py"), run_name="__main__")
