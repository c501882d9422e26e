"""Random crops are cut from the padded image, depend on seed, epoch and place, and resume."""

import numpy as np
import pytest

from anode.data import Batches, RandomCrop
from anode.data.batches import below, draws
from anode.errors import DataError

IMAGES = np.arange(1, 1 + 12 * 5 * 4 * 3, dtype=np.uint16).reshape(12, 5, 4, 3)


def windows(image: np.ndarray, pad: int, mirror: bool) -> set[bytes]:
    """Every crop that padding allows."""
    height, width = image.shape[:2]
    rest = [(0, 0)] * (image.ndim - 2)
    padded = np.pad(image, [(pad, pad), (pad, pad), *rest])
    cuts = [
        padded[y : y + height, x : x + width]
        for y in range(2 * pad + 1)
        for x in range(2 * pad + 1)
    ]
    return {c.tobytes() for c in cuts} | ({c[:, ::-1].tobytes() for c in cuts} if mirror else set())


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("pad", [0, 1])
def test_all_crops_occur_and_no_others(pad, mirror):
    crop, seen = RandomCrop(pad, mirror), set()
    for epoch in range(12):
        found = crop(np.repeat(IMAGES[:1], 20, axis=0), draws(3, epoch, 0, 20))
        seen |= {image.tobytes() for image in found}
    assert seen == windows(IMAGES[0], pad, mirror)


def test_grey_images():
    grey = IMAGES[..., 0]
    for image, found in zip(grey, RandomCrop(2)(grey, draws(1, 0, 0, 12)), strict=True):
        assert found.tobytes() in windows(image, 2, True)


def test_draws_belong_to_the_place_in_the_epoch():
    whole = draws(7, 3, 0, 10)
    np.testing.assert_array_equal(draws(7, 3, 4, 6), whole[4:])
    assert len({*whole.ravel()}) == 40
    assert not np.isin(draws(7, 4, 0, 10), whole).any()
    assert draws(0, 0, 0, 1).tolist() == RECORDED


RECORDED = [[11873002094180986743, 1171884530594738689, 2219574813360835193, 6245020213682626476]]


def test_integers_below_a_bound():
    found = below(draws(0, 0, 0, 1000).ravel(), 7)
    assert np.bincount(found, minlength=7).min() > 500 and found.max() == 6
    assert below(np.array([2**64 - 1], np.uint64), 2**32).tolist() == [2**32 - 1]


@pytest.mark.parametrize("size", [3, 4])
def test_batches_augment_the_first_array_and_resume(size):
    def made() -> Batches:
        return Batches((IMAGES, np.arange(12)), size, seed=5, augment=RandomCrop(1))

    one, other = made(), made()
    for _ in range(12 // size + 1):
        one.next_batch()
    other.position = one.position
    for _ in range(5):
        (x, labels), (again, _) = one.next_batch(), other.next_batch()
        np.testing.assert_array_equal(x, again)
        for image, label in zip(x, labels, strict=True):
            assert image.tobytes() in windows(IMAGES[label], 1, True)


def test_augmentation_does_not_depend_on_the_size_of_minibatches():
    epochs = []
    for size in (2, 6):
        batches = Batches((IMAGES,), size, seed=1, augment=RandomCrop(2))
        epochs.append(np.concatenate([x for (x,) in batches]))
    np.testing.assert_array_equal(*epochs)


def test_what_does_not_fit():
    with pytest.raises(DataError, match="give a seed"):
        Batches((IMAGES,), 2, augment=RandomCrop())
    with pytest.raises(DataError, match="pad=-1"):
        RandomCrop(-1)
    with pytest.raises(DataError, match=r"images \[12, 5\]"):
        RandomCrop()(IMAGES[:, :, 0, 0], draws(0, 0, 0, 12))
