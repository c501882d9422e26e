import gzip
import pickle
import tarfile

import numpy as np
import pytest

pytest.importorskip("configargparse")
from anode.errors import DataError
from anode.frontends.ngraph.frontends.neon import data
from anode.frontends.ngraph.frontends.neon.data.tsp import TSP


def test_mnist(tmp_path):
    sets = [(np.zeros((n, 784), "u1"), np.arange(n) % 10) for n in (60000, 10000)]
    with gzip.open(tmp_path / "mnist.pkl.gz", "wb", compresslevel=1) as file:
        pickle.dump(sets, file, protocol=2)
    train, valid = data.MNIST(str(tmp_path)).load_data()
    assert train["image"]["data"].shape == (60000, 28, 28)
    assert train["image"]["axes"] == ("N", "H", "W")
    assert valid["label"]["data"][11] == 1


@pytest.mark.parametrize(
    ("make", "folder", "files", "key"),
    [
        (
            data.CIFAR10,
            "cifar-10-batches-py",
            [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"],
            "labels",
        ),
        (data.CIFAR100, "cifar-100-python", ["train", "test"], "coarse_labels"),
    ],
)
def test_cifar(tmp_path, make, folder, files, key):
    with tarfile.open(tmp_path / make(str(tmp_path)).filename, "w:gz") as archive:
        for number, name in enumerate(files):
            batch = {"data": np.full((2, 3072), number, "u1"), key: [number, number]}
            (tmp_path / name).write_bytes(pickle.dumps(batch, protocol=2))
            archive.add(tmp_path / name, f"{folder}/{name}")
    train, valid = make(str(tmp_path)).load_data()
    count = len(files) - 1
    assert train["image"]["data"].shape == (2 * count, 3, 32, 32)
    assert train["label"]["data"].tolist() == [n for n in range(count) for _ in range(2)]
    assert valid["image"]["data"].max() == count and valid["image"]["axes"] == ("N", "C", "H", "W")


def test_ptb(tmp_path):
    for phase, text in (("train", "ab ba"), ("test", "a b"), ("valid", "bb")):
        (tmp_path / f"ptb.{phase}.txt").write_text(text)
    characters = data.PTB(str(tmp_path))
    found = characters.load_data()
    assert characters.vocab == [" ", "a", "b"]
    assert found["train"]["inp_txt"].tolist() == [1, 2, 0, 2, 1]
    assert found["train"]["tgt_txt"].tolist() == [2, 0, 2, 1, 1]
    words = data.PTB(str(tmp_path), use_words=True, shift_target=False)
    with pytest.raises(KeyError):  # a word that the training text lacks
        words.load_data()


def test_shakespeare(tmp_path):
    (tmp_path / "shakespeare_input.txt").write_text("abcabcabcz")
    plays = data.Shakespeare(str(tmp_path))
    assert plays.train.tolist() == [1, 2, 3] * 3 and plays.test.tolist() == [0]
    assert plays.index_to_token[2] == "b" and plays.token_to_index["<UNK>"] == 0


def test_imdb(tmp_path):
    reviews = [[1, 2, 3, 4], [5], [90], [1], [2]]
    (tmp_path / "imdb.pkl").write_bytes(pickle.dumps((reviews, [0, 1, 1, 0, 1])))
    made = data.IMDB(str(tmp_path), vocab_size=20, sentence_length=3, shuffle=False)
    found = made.load_data()
    assert found["train"]["review"]["data"].tolist() == [[5, 6, 7], [0, 1, 8], [0, 1, 2], [0, 1, 4]]
    assert found["valid"]["label"]["data"].tolist() == [1] and made.nclass == 2
    assert found["train"]["review"]["axes"] == ("N", "REC")


def test_librispeech(tmp_path):
    folder = tmp_path / "dev-clean" / "1"
    folder.mkdir(parents=True)
    (folder / "1.trans.txt").write_text("1-0 HELLO THERE\n")
    manifest = data.Librispeech(path=str(tmp_path)).load_data()
    with open(manifest) as file:
        assert file.read() == f"@FILE\tSTRING\n{folder}/1-0.flac\tHELLO THERE\n"
    with pytest.raises(ValueError, match="no part of LibriSpeech"):
        data.Librispeech(version="dev-dirty")


def test_tours(tmp_path):
    line = "0.1 0.2 0.3 0.4 0.5 0.6 output 1 3 2 1\n"
    (tmp_path / "tsp.txt").write_text(line)
    found = TSP("tsp.txt", "tsp.txt", str(tmp_path)).load_data()["train"]
    assert found["tgt_txt"].tolist() == [[0, 2, 1]]
    assert found["teacher_tgt"].tolist() == [[[0.5, 0.6], [0.3, 0.4], [0.1, 0.2]]]
    with pytest.raises(DataError, match=r"none.txt is missing: unpack tsp5_train.zip"):
        TSP("none.txt", "none.txt", str(tmp_path)).load_data()
