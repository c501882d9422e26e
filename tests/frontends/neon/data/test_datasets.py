"""neon's data sets give the minibatches that neon 2.6 gave for the same files."""

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from anode.errors import DataError
from anode.frontends.neon import data
from anode.frontends.neon.backends import cleanup_backend, gen_backend
from anode.frontends.neon.data import datasets
from anode.frontends.neon.data.text_preprocessing import (
    clean_string,
    get_google_word2vec_W,
    get_paddedXY,
    pad_sentences,
)
from tests.frontends.neon.data import samples

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text())


@pytest.fixture
def be():
    yield gen_backend("cpu", rng_seed=0, batch_size=4)
    cleanup_backend()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    samples.write_all(str(folder))
    be = gen_backend("cpu", rng_seed=0, batch_size=5)
    values = samples.digests(str(folder), data, be)
    cleanup_backend()
    return json.loads(json.dumps(values))


@pytest.mark.parametrize("name", RECORDED)
def test_minibatches_are_the_original_s(found, name):
    assert found[name] == RECORDED[name]


def columns(iterator):
    return [[t.get().tolist() for t in batch] for batch in iterator]


def test_the_last_minibatch_wraps_and_the_next_epoch_begins_after_it(be):
    iterator = data.ArrayIterator(np.arange(10.0).reshape(10, 1), np.arange(10) % 3, nclass=3)
    assert iterator.nbatches == 3
    first = [x[0] for x, _ in columns(iterator)]
    assert first == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    assert iterator.start == 2 and iterator.nbatches == 2
    assert [x[0] for x, _ in columns(iterator)] == [[2, 3, 4, 5], [6, 7, 8, 9]]
    iterator.reset()
    x, y = columns(iterator)[0]
    assert x[0] == [0, 1, 2, 3] and y == [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]]


def test_several_inputs_and_targets_as_they_are(be):
    x = [np.arange(8.0).reshape(4, 2), np.arange(4.0).reshape(4, 1)]
    iterator = data.ArrayIterator(x, -x[1], make_onehot=False)
    assert iterator.shape == [2, 1]
    ((inputs, targets),) = list(iterator)
    assert [t.shape for t in inputs] == [(2, 4), (1, 4)]
    np.testing.assert_array_equal(targets.get(), [[0, -1, -2, -3]])
    ((inputs, targets),) = list(data.ArrayIterator(x[0]))
    assert inputs is targets


@pytest.mark.parametrize(
    "arguments, error, said",
    [
        ({"X": np.ones((3, 2))}, AssertionError, "do not fill a minibatch of 4"),
        ({"X": np.ones((4, 2)), "lshape": (1, 3)}, AssertionError, "does not hold 2 features"),
        ({"X": np.ones((4, 2)), "y": np.ones(3), "nclass": 2}, AssertionError, "but 3 labels"),
        ({"X": np.ones((4, 2)), "y": np.ones(4)}, AttributeError, "need nclass"),
        ({"X": np.ones((4, 2)), "y": np.full(4, 2), "nclass": 2}, AssertionError, "from 0 to 1"),
        ({"X": np.ones((4, 2)), "y": np.full(4, 0.5), "nclass": 2}, AssertionError, "whole"),
    ],
)
def test_arrays_that_do_not_fit(be, arguments, error, said):
    with pytest.raises(error, match=said):
        data.ArrayIterator(**arguments)


def test_hdf5(be, tmp_path):
    h5py = pytest.importorskip("h5py")
    x, y = np.arange(36.0).reshape(6, 6), np.array([[0], [1], [2], [0], [1], [2]])
    for name, mean in (("none", None), ("full", np.arange(6.0)), ("channels", np.array([1.0, 2]))):
        with h5py.File(tmp_path / name, "w") as file:
            file.create_dataset("input", data=x).attrs["lshape"] = (2, 1, 3)
            file.create_dataset("output", data=y).attrs["nclass"] = 3
            if mean is not None:
                file.create_dataset("mean", data=mean)
        less = np.resize(0 if mean is None else np.repeat(mean, 6 // mean.size), 6)
        iterator = data.HDF5IteratorOneHot(str(tmp_path / name))
        assert iterator.shape == (2, 1, 3) and iterator.nbatches == 2
        batches = columns(iterator)
        np.testing.assert_array_equal(batches[1][0], (x[[4, 5, 0, 1]] - less).T)
        np.testing.assert_array_equal(np.argmax(batches[1][1], axis=0), [1, 2, 0, 1])
        assert iterator.start == 2
        assert len(columns(iterator)) == 1 and iterator.start == 0
    x, y = columns(data.HDF5Iterator(str(tmp_path / "none")))[0]
    assert y == [[0, 1, 2, 0]]
    x, y = columns(data.HDF5IteratorAutoencoder(str(tmp_path / "none")))[0]
    assert x == y


def test_what_is_absent_is_fetched_and_offline_says_so(be, tmp_path, monkeypatch):
    def offline(request, timeout):
        raise URLError("Temporary failure in name resolution")

    monkeypatch.setattr(datasets, "urlopen", offline)
    with pytest.raises(DataError, match=r"mnist.pkl.gz is not there and https.*cannot be fetched"):
        data.MNIST(path=str(tmp_path)).gen_iterators()
    assert os.listdir(tmp_path) == []
    monkeypatch.setattr(datasets, "urlopen", lambda request, timeout: io.BytesIO(b"text"))
    path = data.HutterPrize(path=str(tmp_path)).load_zip("plain.txt", 4)
    assert Path(path).read_text() == "text"
    monkeypatch.setattr(datasets, "MAX_BYTES", 3)
    with pytest.raises(DataError, match="larger than 3 bytes"):
        data.HutterPrize(path=str(tmp_path)).load_zip("other.txt", 4)
    assert sorted(os.listdir(tmp_path)) == ["plain.txt"]


def test_archives_are_unpacked_with_limits(be, tmp_path, monkeypatch):
    path = str(tmp_path / "enwik8.zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("enwik8", "much text")
        archive.writestr("../outside", "no")
    assert Path(data.HutterPrize(path=str(tmp_path)).load_data()).read_text() == "much text"
    assert not (tmp_path.parent / "outside").exists()
    monkeypatch.setattr(datasets, "MAX_BYTES", 5)
    with pytest.raises(DataError, match="unpacks to more than 5"):
        data.HutterPrize(path=str(tmp_path)).load_data()
    Path(path).write_bytes(b"PK\3\4 no zip")
    with pytest.raises(DataError, match="damaged zip"):
        data.HutterPrize(path=str(tmp_path)).load_data()


def test_a_tar_gives_only_what_is_asked_for(tmp_path):
    path = tmp_path / "some.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in ("wanted", "../outside", "more"):
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"1234"))
    datasets.unpack_tar(str(path), str(tmp_path / "out"), ["wanted"])
    assert os.listdir(tmp_path / "out") == ["wanted"]
    with pytest.raises(DataError, match="has no absent"):
        datasets.unpack_tar(str(path), str(tmp_path / "out"), ["absent"])
    path.write_bytes(b"no tar")
    with pytest.raises(DataError, match="cannot be unpacked"):
        datasets.unpack_tar(str(path), str(tmp_path / "out"), ["wanted"])


def test_files_that_are_something_else(be, tmp_path):
    (tmp_path / "mnist.pkl.gz").write_bytes(samples.dumps([1, 2]))
    with pytest.raises(DataError, match="is no pickle"):
        data.MNIST(path=str(tmp_path)).gen_iterators()
    (tmp_path / "imdb.pkl").write_bytes(samples.dumps({"a": 1}))
    with pytest.raises(DataError, match="is no pickle"):
        data.IMDB(20, 6, path=str(tmp_path)).gen_iterators()
    (tmp_path / "short.txt").write_text("short")
    with pytest.raises(DataError, match="too short for one minibatch"):
        data.Text(6, str(tmp_path / "short.txt"))
    (tmp_path / "long.txt").write_text("abcd" * 20)
    with pytest.raises(AssertionError, match="it lacks 'd'"):
        data.Text(6, str(tmp_path / "long.txt"), vocab="abc")


def test_sick(be, tmp_path):
    rows = "pair_ID\tA\tB\tscore\tjudgment\n1\tone dog\ttwo dogs\t3.5\tNEUTRAL\n"
    for part in ("train", "trial", "test_annotated"):
        with zipfile.ZipFile(tmp_path / f"sick_{part}.zip", "w") as archive:
            archive.writestr(f"SICK_{part}.txt", rows)
    train, _, test, scores = data.SICK(path=str(tmp_path) + "/").load_eval_data()
    assert train[0].tolist() == [b"one dog"] and test[1].tolist() == [b"two dogs"]
    assert [s.tolist() for s in scores] == [[3.5]] * 3


def test_sentences():
    assert clean_string("They've (all) come, haven't they?!") == (
        r"they 've \( all \) come , have n't they \? !"
    )
    np.testing.assert_array_equal(pad_sentences([[1], [1, 2, 3, 4], []], 3), [
        [0, 0, 1], [2, 3, 4], [0, 0, 0],
    ])  # fmt: skip
    x, y = get_paddedXY([[1, 2], [9]], [0, 1], 10, 3, shuffle=False)
    assert x.tolist() == [[1, 4, 5], [0, 1, 2]] and y.tolist() == [[0], [1]]
    x, _ = get_paddedXY([[1, 2], [9]], [0, 1], 10, 3, oov=None, shuffle=False)
    assert x.tolist() == [[1, 4, 5], [0, 0, 1]]


def test_word2vec(tmp_path):
    vectors = np.arange(6, dtype="<f4").reshape(2, 3)
    path = tmp_path / "vectors.bin"
    path.write_bytes(b"2 3\ndog " + vectors[0].tobytes() + b"\ncat " + vectors[1].tobytes() + b"\n")
    weights, width, rows = get_google_word2vec_W(str(path), {"cat": 0, "cow": 1})
    assert (width, rows) == (3, 5)
    np.testing.assert_array_equal(weights[3], vectors[1])
    assert np.abs(weights[[0, 1, 2, 4]]).max() <= 0.25
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match="no binary file of word2vec"):
        get_google_word2vec_W(str(path), {"cat": 0})


def test_translations(be, tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "un2000-train.h5", "w") as file:
        file["X"], file["y"] = np.arange(15.0).reshape(5, 3) % 4, np.arange(15.0).reshape(5, 3) % 3
        file.create_dataset("s_vocab", data=["a", "b", "c", "d"])
        file["t_vocab"] = np.array([b"x", b"y", b"z"])
    iterator = data.text.TextNMT(3, str(tmp_path), split="train", get_prev_target=True)
    assert iterator.s_vocab == ["a", "b", "c", "d"] and iterator.t_token_to_index == {
        b"x": 0, b"y": 1, b"z": 2,
    }  # fmt: skip
    assert (iterator.nbatches, iterator.ndata) == (1, 4)
    (((x, z), y),) = list(iterator)
    np.testing.assert_array_equal(x.get()[:, 1], [3, 0, 1])
    np.testing.assert_array_equal(np.argmax(y.get(), axis=0)[:4], [2, 2, 2, 2])
    np.testing.assert_array_equal(z.get()[:, 1], [0, 2, 1])


def test_predicted_sentences_and_their_bleu(be, tmp_path, capsys):
    samples.write_captions(str(tmp_path), np.random.RandomState(5))
    be.bsz = 2
    test = data.Flickr8k(path=str(tmp_path)).test_iter
    chosen = np.zeros(test.dev_X.shape)
    numbers = [[0, 0], [1, 2], [3, 0], [0, 1]]
    for column, number in enumerate(np.ravel(numbers)):
        chosen[number, column] = 1
    words = test.index_to_vocab
    assert test.prob_to_word(chosen)[0] == f". {words[1]} {words[3]} ."
    exact = [references[0] for references in test.ref_sents]
    assert test.bleu_score(exact, test.ref_sents) > 0
    assert (tmp_path / "flickr8k" / "reference2").read_text().count("\n") == 3
