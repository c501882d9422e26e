"""Images at random, image files, and what image functions refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

IMAGE = np.random.default_rng(0).random((6, 8, 3), np.float32)


def draws(tf: Any, y: Any, count: int = 20) -> np.ndarray:
    with tf.Session() as session:
        return np.stack([session.run(y) for _ in range(count)])


def test_flips_are_one_of_two(tf: Any) -> None:
    found = draws(tf, tf.image.random_flip_left_right(IMAGE, seed=3))
    turned = (found == IMAGE[:, ::-1]).all((1, 2, 3))
    assert ((found == IMAGE).all((1, 2, 3)) | turned).all()
    assert 0 < turned.sum() < 20


def test_each_image_of_a_batch_flips_by_itself(tf: Any) -> None:
    batch = np.stack([IMAGE] * 30)
    found = draws(tf, tf.image.random_flip_up_down(batch, seed=3), 1)[0]
    turned = (found == IMAGE[::-1]).all((1, 2, 3))
    assert ((found == IMAGE).all((1, 2, 3)) | turned).all()
    assert 0 < turned.sum() < 30


def test_crops_lie_in_the_image(tf: Any) -> None:
    places = np.arange(48, dtype=np.int32).reshape(6, 8, 1)
    found = draws(tf, tf.random_crop(places, [2, 3, 1], seed=1), 60)
    corners = found[:, 0, 0, 0]
    assert (found[..., 0] == corners[:, None, None] + [[0, 1, 2], [8, 9, 10]]).all()
    assert corners.max() // 8 <= 4 and (corners % 8).max() <= 5
    assert len(set(corners.tolist())) > 15


def test_changes_stay_in_their_range(tf: Any) -> None:
    bright = draws(tf, tf.image.random_brightness(IMAGE, 0.3, seed=1)) - IMAGE
    assert abs(bright).max() <= 0.3001 and np.ptp(bright[:, 0, 0, 0]) > 0.1
    with pytest.raises(ValueError, match="non-negative"):
        tf.image.random_brightness(IMAGE, -1)
    with pytest.raises(ValueError, match="upper must be > lower"):
        tf.image.random_contrast(IMAGE, 2, 1)


def test_sampled_boxes_cover_enough_of_the_object(tf: Any) -> None:
    box = [[[0.25, 0.25, 0.75, 0.75]]]
    begin, size, _ = tf.image.sample_distorted_bounding_box(
        [100, 80, 3], box, min_object_covered=0.5, seed=4
    )
    with tf.Session() as session:
        for _ in range(10):
            (top, left, _), (h, w, depth) = session.run([begin, size])
            rows = min(top + h, 75) - max(top, 25)
            columns = min(left + w, 60) - max(left, 20)
            assert depth == -1 and top + h <= 100 and left + w <= 80
            assert rows * columns >= 0.5 * 50 * 40 * 0.99


def test_files_round_trip(tf: Any, tmp_path: Path) -> None:
    pixels = (IMAGE * 255).astype(np.uint8)
    path = str(tmp_path / "image.png")
    write = tf.write_file(path, tf.image.encode_png(pixels))
    read = tf.image.decode_image(tf.read_file(path))
    jpeg = tf.image.decode_jpeg(tf.image.encode_jpeg(np.full((8, 16, 3), 90, np.uint8)))
    with tf.Session() as session:
        session.run(write)
        assert (session.run(read) == pixels).all()
        assert abs(session.run(jpeg).astype(int) - 90).max() <= 1
        assert session.run(tf.matching_files(str(tmp_path / "*"))).tolist() == [path.encode()]


def test_what_is_no_image_is_refused(tf: Any) -> None:
    with tf.Session() as session:
        with pytest.raises(tf.errors.InvalidArgumentError):
            session.run(tf.image.decode_png(b"not an image"))
        with pytest.raises(tf.errors.NotFoundError):
            session.run(tf.read_file("/no/such/file"))
    with pytest.raises(ValueError, match="3 or 4 dimensions"):
        tf.image.resize_images(np.zeros((2, 2)), [4, 4])
    with pytest.raises(ValueError, match="height must be >= target"):
        tf.image.crop_to_bounding_box(IMAGE, 4, 0, 3, 2)


def test_decoded_jpeg_of_gray_and_color(tf: Any) -> None:
    gray = tf.image.encode_jpeg(np.full((8, 8, 1), 100, np.uint8))
    shapes = [tf.shape(tf.image.decode_jpeg(gray, channels=n)) for n in (0, 1, 3)]
    with tf.Session() as session:
        assert [s.tolist() for s in session.run(shapes)] == [[8, 8, 1], [8, 8, 1], [8, 8, 3]]


def test_images_turned_and_moved(tf: Any) -> None:
    square = IMAGE[:, :6]
    turned = tf.contrib.image.rotate(square, np.pi / 2)
    moved = tf.contrib.image.translate(np.stack([square] * 2), [[2.0, 1.0], [0.5, 0.0]], "BILINEAR")
    with tf.Session() as session:
        np.testing.assert_array_equal(session.run(turned), np.rot90(square))
        first, second = session.run(moved)
    np.testing.assert_allclose(first[1:, 2:], square[:-1, :-2], rtol=1e-6)
    assert not first[0].any() and not first[:, :2].any()
    halves = (square[:, 1:] + square[:, :-1]) / 2
    np.testing.assert_allclose(second[:, 1:], halves, rtol=1e-5)
