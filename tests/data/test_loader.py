"""The loader: the same minibatches for any number of workers, resumed, mirrored, subtracted."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anode.data import ImageLoader, ingest, open_records
from anode.data.batches import draws, permutation
from anode.data.decode import Cut
from anode.data.ingestion import Options
from anode.errors import DataError
from tests.data.pictures import encoded, jpeg, picture

ROOT = Path(__file__).parent.parent.parent
COUNT = 22


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    root = tmp_path_factory.mktemp("loader")
    for i in range(COUNT):
        folder = root / "tree" / f"class{i % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        grey = encoded(picture(i, 40 + i, 33).convert("L"), "PNG")
        (folder / f"{i:02}.jpg").write_bytes(grey if i % 5 == 0 else jpeg(i, 40 + i, 33))
    ingest(root / "tree", root / "out", Options(shard_images=5), workers=1)
    return open_records(root / "out")


@pytest.fixture
def loader(records):
    """Makes loaders, of one worker unless told otherwise, and closes them."""
    made = []

    def make(batch_size=4, source=records, **options) -> ImageLoader:
        made.append(ImageLoader(source, batch_size, **{"crop": 24, "workers": 1, **options}))
        return made[-1]

    yield make
    for one in made:
        one.close()


def take(loader: ImageLoader, count: int) -> list[tuple[bytes, list[int]]]:
    batches = (loader.next_batch() for _ in range(count))
    return [(images.tobytes(), labels.tolist()) for images, labels in batches]


def expected(records, rows, cut: Cut, words=None) -> np.ndarray:
    return np.stack(
        [cut(records.read(row), None if words is None else words[i]) for i, row in enumerate(rows)]
    )


def test_in_order_from_the_middle(records, loader):
    batches = list(loader(last="keep", short_side=30))
    assert [len(images) for images, _ in batches] == [4, 4, 4, 4, 4, 2]
    found = np.concatenate([images for images, _ in batches])
    np.testing.assert_array_equal(found, expected(records, range(COUNT), Cut(24, (30, 30))))
    labels = np.concatenate([labels for _, labels in batches])
    assert labels.dtype == np.int32 and labels.tolist() == records.labels.tolist()


def test_random_crops_are_those_of_the_place_in_the_epoch(records, loader):
    batches = loader(batch_size=5, seed=9, short_side=(24, 40))
    batches.position = (2, 1)
    images, labels = batches.next_batch()
    rows = permutation(COUNT, 9, 2)[5:10]
    cut = Cut(24, (24, 40), random=True, mirror=True)
    np.testing.assert_array_equal(images, expected(records, rows, cut, draws(9, 2, 5, 5)))
    assert labels.tolist() == records.labels[rows].tolist()


@pytest.mark.parametrize("last", ["drop", "keep", "wrap"])
def test_neither_workers_nor_prefetch_change_anything(loader, last):
    one = loader(seed=1, last=last, prefetch=1)
    two = loader(seed=1, last=last, workers=3, prefetch=7)
    assert take(one, 14) == take(two, 14)
    assert one.position == two.position


def test_crops_do_not_depend_on_the_size_of_minibatches(loader):
    epochs = []
    for size in (2, 11):
        epochs.append(np.concatenate([images for images, _ in loader(batch_size=size, seed=3)]))
    np.testing.assert_array_equal(*epochs)


def test_resuming_and_jumping(loader):
    whole = take(loader(seed=4), 12)
    resumed = loader(seed=4, prefetch=3)
    for start in (7, 0, 3, 4, 4, 11):
        resumed.position = divmod(start, 5)
        assert take(resumed, 12 - start) == whole[start:]
    resumed.position = (0, 2)
    resumed.close()
    assert take(resumed, 1) == whole[2:3]


def test_an_epoch_without_seed_begins_again_with_what_is_decoded_already(loader):
    batches = loader(prefetch=2)
    first = [images.tobytes() for images, _ in batches]
    pending = list(batches._pipeline.pending)
    batches.position = (0, 0)
    assert [images.tobytes() for images, _ in batches] == first
    assert [position.batch for position, _ in pending] == [0, 1]


def test_minibatches_stay_as_they_were_given(loader):
    batches = loader(seed=1, prefetch=1)
    kept = [(images, images.copy()) for images, _ in (batches.next_batch() for _ in range(6))]
    assert all((images == copy).all() for images, copy in kept)


@pytest.mark.parametrize("mean", ["channels", "image", 100.0, np.arange(3)])
def test_means(records, loader, mean):
    plain, _ = loader().next_batch()
    found, _ = loader(mean=mean).next_batch()
    if isinstance(mean, str):
        side = records.mean_image.shape[0]
        start = (side - 24) // 2
        middle = records.mean_image[start : start + 24, start : start + 24]
        mean = middle if mean == "image" else np.array(records.mean)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, plain.astype(np.float32) - np.asarray(mean, np.float32))


def test_mirror_alone_and_crop_alone(records, loader):
    images, _ = loader(batch_size=COUNT, seed=2, random_crop=False, mirror=True).next_batch()
    middle = expected(records, permutation(COUNT, 2, 0), Cut(24))
    turned = [not (image == plain).all() for image, plain in zip(images, middle, strict=True)]
    assert 0 < sum(turned) < COUNT
    for image, plain, turn in zip(images, middle, turned, strict=True):
        np.testing.assert_array_equal(image, plain[:, ::-1] if turn else plain)
    images, _ = loader(batch_size=COUNT, seed=2, mirror=False).next_batch()
    cut = expected(records, permutation(COUNT, 2, 0), Cut(24, random=True), draws(2, 0, 0, COUNT))
    np.testing.assert_array_equal(images, cut)


def test_a_damaged_record_is_named_when_its_turn_comes(records, loader, tmp_path):
    folder = shutil.copytree(records.folder, tmp_path / "copy")
    path = folder / records.files[1]
    offset = int(records.index["offset"][9])  # in the third minibatch
    content = bytearray(path.read_bytes())
    content[offset + 20] ^= 1
    path.write_bytes(content)
    batches = loader(source=folder)
    whole = take(loader(), 3)
    assert take(batches, 2) == whole[:2]
    for _ in range(2):
        with pytest.raises(DataError, match=rf"{path}: damaged: .* at offset {offset} "):
            batches.next_batch()
        assert batches.position == (0, 2)
    content[offset + 20] ^= 1
    path.write_bytes(content)
    assert take(batches, 1) == whole[2:]


def test_an_image_smaller_than_the_crop_is_named(loader):
    with pytest.raises(DataError, match=r"the image at offset 64: its 40x33 pixels do not fill"):
        loader(crop=34).next_batch()


def test_a_worker_that_is_killed_is_an_error_and_another_takes_its_place(loader):
    batches = loader(seed=1, prefetch=1)
    whole = take(loader(seed=1), 2)
    assert take(batches, 1) == whole[:1]
    process = batches._pipeline.workers.processes[0]
    process.send_signal(signal.SIGKILL)
    process.wait()
    batches._pipeline._restart()
    with pytest.raises(DataError, match="a worker process ended by signal 9"):
        batches.position = (1, 0)
        batches.next_batch()
    batches.position = (0, 1)
    assert take(batches, 1) == whole[1:]


SCRIPT = """
import sys, time
from anode.data import ImageLoader
batches = ImageLoader(sys.argv[1], 4, crop=24, workers=2, seed=0)
batches.next_batch()
print(*[process.pid for process in batches._pipeline.workers.processes], flush=True)
while True:
    batches.next_batch()
"""


def test_ctrl_c_ends_a_script_and_its_workers_at_once(records):
    command = [sys.executable, "-c", SCRIPT, str(records.folder)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as script:
        pids = [int(pid) for pid in script.stdout.readline().split()]
        os.killpg(script.pid, signal.SIGINT)
        error = script.stderr.read()
    assert error.count("Traceback") == 1 and error.rstrip().endswith("KeyboardInterrupt")
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_a_script_may_change_its_folder(records, loader, monkeypatch):
    monkeypatch.chdir(records.folder.parent)
    batches = loader(source=records.folder.name)
    monkeypatch.chdir("/")
    assert take(batches, 1) == take(loader(), 1)


def test_closing_ends_the_workers(loader):
    with loader() as batches:
        batches.next_batch()
        processes = batches._pipeline.workers.processes
    assert all(process.poll() is not None for process in processes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"random_crop": True}, "give a seed"),
        ({"mirror": True}, "give a seed"),
        ({"crop": 0}, "crop=0"),
        ({"short_side": 23}, "give 24 pixels, the crop, or more"),
        ({"short_side": (40, 30), "seed": 0}, "give 24 pixels, the crop, or more"),
        ({"short_side": (30, 40)}, "a range is for random crops"),
        ({"short_side": (30, 40, 50)}, "give a number or two"),
        ({"mean": "pixel"}, "choose 'channels'"),
        ({"mean": np.zeros(5)}, r"mean of shape \[5\] does not broadcast"),
        ({"mean": "image", "crop": 40}, "choose mean='channels'"),
        ({"workers": 0}, "at least 1"),
        ({"prefetch": 0}, "at least 1"),
        ({"batch_size": 23}, "no minibatch of 22 rows"),
    ],
)
def test_bad_options(loader, options, message):
    with pytest.raises(DataError, match=message):
        loader(**options)


def test_training_on_it_resumes(records, loader, tmp_path):
    from anode import layers as nn

    def model() -> nn.Model:
        return nn.Model([nn.Affine(3, activation=nn.Softmax())], preprocess=nn.unit_range, seed=1)

    arguments = nn.CrossEntropyMulti(), nn.GradientDescentMomentum(0.01, 0.9)
    whole, first, second = model(), model(), model()
    whole.fit(loader(seed=1), *arguments, epochs=2)
    first.fit(loader(seed=1), *arguments, epochs=1)
    first.save(tmp_path / "kept")
    second.load(tmp_path / "kept")
    second.fit(loader(seed=1, prefetch=3), *arguments, epochs=2)
    for (_, one), (_, other) in zip(whole.state.items(), second.state.items(), strict=True):
        np.testing.assert_array_equal(one, other)
