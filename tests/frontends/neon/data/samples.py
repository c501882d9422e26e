"""Small data sets in neon's files, and what to print of their minibatches.

The file is run under neon 2.6 as well, as `python samples.py NEW_FOLDER recorded.json`: its output
is recorded.json.
"""

import gzip
import io
import json
import os
import pickle
import sys
import tarfile
import zipfile

import numpy as np

STORY = """1 Mary moved to the bathroom.
2 John went to the hallway.
3 Where is Mary? \tbathroom\t1
4 Daniel went back to the hallway.
5 Sandra moved to the garden.
6 Where is Daniel? \thallway\t4
1 John went back to the bathroom.
2 Mary moved to the hallway.
3 Where is Mary? \thallway\t2
"""
TEXT = "the quick brown fox jumps over the lazy dog, and the dog sleeps.\n" * 9


def write_all(folder):
    """All files that `digests` reads."""
    random = np.random.RandomState(5)
    parts = [
        (random.randint(0, 256, (n, 28, 28)).astype(np.uint8), random.randint(0, 10, n))
        for n in (13, 7)
    ]
    with gzip.open(os.path.join(folder, "mnist.pkl.gz"), "wb") as file:
        file.write(dumps((parts[0], parts[1])))
    batches = os.path.join(folder, "cifar-10-batches-py")
    os.makedirs(batches)
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        rows = 6 if name == "test_batch" else 3
        pixels = random.randint(0, 256, (rows, 3072)).astype(np.uint8)
        batch = {"data": pixels, "labels": [int(i) for i in random.randint(0, 10, rows)]}
        with open(os.path.join(batches, name), "wb") as file:
            file.write(dumps(batch))
    for name in ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt", "shakespeare_input.txt"):
        with open(os.path.join(folder, name), "w") as file:
            file.write(TEXT)
    reviews = [[int(w) for w in random.randint(1, 30, random.randint(2, 9))] for _ in range(40)]
    with open(os.path.join(folder, "imdb.pkl"), "wb") as file:
        file.write(dumps((reviews, [int(i) for i in random.randint(0, 2, 40)])))
    write_babi(folder)
    write_captions(folder, random)


def dumps(value):
    return pickle.dumps(value, 2).replace(b"cnumpy._core.", b"cnumpy.core.")


def write_babi(folder):
    with tarfile.open(os.path.join(folder, "tasks_1-20_v1-2.tar.gz"), "w:gz") as tar:
        for part in ("train", "test"):
            name = f"tasks_1-20_v1-2/en/qa1_single-supporting-fact_{part}.txt"
            info = tarfile.TarInfo(name)
            info.size = len(STORY)
            tar.addfile(info, io.BytesIO(STORY.encode()))


def write_captions(folder, random):
    words = ["a", "dog", "cat", "runs", "sits", "there"]

    def image(i):
        sentences = [
            {"tokens": [words[w] for w in random.randint(0, 6, random.randint(2, 6))]}
            for _ in range(3)
        ]
        return {"imgid": i, "sentences": sentences}

    content = {
        "sents": {"train": [image(i) for i in range(6)], "test": [image(i) for i in range(6, 9)]},
        "feats": random.uniform(size=(4096, 9)).astype(np.float32),
    }
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        file.write(dumps(content))
    with zipfile.ZipFile(os.path.join(folder, "flickr8k.zip"), "w") as archive:
        archive.writestr("flickr8k/features.pkl.gz", packed.getvalue())


def digest(value):
    """Shape, type and three sums that see order, of a minibatch."""
    if isinstance(value, (tuple, list)):
        return [digest(item) for item in value]
    if value is None or isinstance(value, str):
        return value
    array = np.asarray(value.get(), dtype=np.float64)
    flat = array.reshape(-1)
    ramp = np.cos(np.arange(flat.size))
    shape = [int(n) for n in array.shape]
    return [shape, str(value.dtype), round(float(flat.sum()), 3), round(float(flat.dot(ramp)), 3)]


def epochs(iterator, count=2, most=4):
    found = []
    for _ in range(count):
        batches = [digest(batch) for i, batch in enumerate(iterator) if i < most]
        found.append([batches, getattr(iterator, "start", None)])
    return found


def digests(folder, data, be):
    """What every data set gives, by name; `data` is the module neon.data."""
    found = {}
    be.bsz = 5
    for name, options in (
        ("mnist", {}),
        ("mnist_range", {"sym_range": True, "size": 20}),
        ("mnist_shuffled", {"shuffle": True, "size": 30}),
        ("mnist_bytes", {"normalize": False}),
    ):
        dataset = data.MNIST(path=folder, **options)
        found[name] = epochs(dataset.train_iter, 3) + epochs(dataset.valid_iter)
    for name, options in (
        ("cifar", {"pad_classes": True}),
        ("cifar_contrast", {"contrast_normalize": True}),
    ):
        dataset = data.CIFAR10(path=folder, **options)
        found[name] = epochs(dataset.train_iter) + epochs(dataset.valid_iter, 1, 0)
    be.bsz = 4
    for name, options in (
        ("ptb", {}),
        ("ptb_numbers", {"onehot_input": False}),
        ("ptb_words", {"tokenizer": "newline_tokenizer"}),
        ("ptb_reversed", {"reverse_target": True, "get_prev_target": True}),
        (
            "ptb_reversed_numbers",
            {"reverse_target": True, "get_prev_target": True, "onehot_input": False},
        ),
    ):
        dataset = data.PTB(6, path=folder, **options)
        found[name] = [epochs(dataset.get_iterator(part)) for part in ("train", "valid", "test")]
    shakespeare = data.Shakespeare(3, path=folder)
    found["shakespeare"] = epochs(shakespeare.train_iter) + epochs(shakespeare.valid_iter)
    imdb = data.IMDB(vocab_size=20, sentence_length=6, path=folder)
    found["imdb"] = epochs(imdb.train_iter) + epochs(imdb.test_iter)
    found["drawn"] = round(float(np.random.uniform()), 6)
    found.update(others(folder, data, be))
    return found


def others(folder, data, be):
    found = {}
    np.random.seed(3)
    for task in (data.CopyTask(5, 3), data.PrioritySortTask(5, 3), data.RepeatCopyTask(4, 4, 3)):
        found[type(task).__name__] = epochs(data.Ticker(task), 1)
    be.bsz = 2
    be.rng = np.random.RandomState(4)
    babi = data.BABI(path=folder)
    found["babi"] = [
        babi.vocab,
        [int(n) for n in babi.train[0].ravel()],
        epochs(data.QA(*babi.train)),
    ]
    flickr = data.Flickr8k(path=folder)
    found["captions"] = [
        epochs(flickr.train_iter),
        epochs(flickr.test_iter, 1, 0),
        flickr.train_iter.vocab_size,
        round(float(flickr.train_iter.bias_init.sum()), 4),
        flickr.test_iter.ref_sents,
    ]
    return found


if __name__ == "__main__":
    import neon.data
    from neon.backends import gen_backend

    if not os.path.exists(sys.argv[1]):
        os.makedirs(sys.argv[1])
        write_all(sys.argv[1])
    result = digests(sys.argv[1], neon.data, gen_backend("cpu", rng_seed=0, batch_size=5))
    with open(sys.argv[2], "w") as file:
        json.dump(result, file)
