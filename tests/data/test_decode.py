"""Image files: modes, damage, claims of sizes, and the squares cut out of them."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from anode.data.batches import draws
from anode.data.decode import Cut, decode, is_stored, load, open_image, shrink
from anode.errors import DataError
from tests.data.pictures import DAMAGED, converted, encoded, jpeg, picture

CONVERTED = converted()


@pytest.mark.parametrize("name", CONVERTED)
def test_every_mode_becomes_rgb(name):
    content, expected = CONVERTED[name]
    found = decode(content)
    assert found.shape == (30, 40, 3) and found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).max() <= (20 if name == "cmyk.jpg" else 0)
    assert not is_stored(open_image(content))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_what_is_stored_as_it_is(mode, format):
    content = encoded(picture(3).convert(mode), format)
    assert is_stored(open_image(content))
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    np.testing.assert_array_equal(decode(content), expected)


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_one_line_with_a_reason_and_takes_no_memory(name):
    content, word = DAMAGED[name]
    tracemalloc.start()
    with pytest.raises(DataError, match=word) as caught:
        decode(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(caught.value) and "<" not in str(caught.value)
    assert peak < 16 << 20


def test_orientation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by a quarter
    assert decode(encoded(picture(0), exif=exif)).shape == (30, 40, 3)


def test_the_limit_of_pixels():
    assert open_image(jpeg(0), 1200).size == (40, 30)
    with pytest.raises(DataError, match="it claims 40x30 pixels"):
        open_image(jpeg(0), 1199)


@pytest.mark.parametrize(
    ("size", "short", "expected"),
    [((400, 300), 30, (40, 30)), ((40, 30), 31, (40, 30)), ((33, 99), 11, (11, 33))],
)
def test_shrink(size, short, expected):
    small = shrink(open_image(jpeg(2, *size)), short)
    assert small.size == expected
    plain = load(open_image(jpeg(2, *size)))
    wanted = np.asarray(plain.resize(expected, Image.Resampling.BICUBIC), float)
    assert np.abs(np.asarray(small) - wanted).mean() < 4


def test_the_middle():
    image = np.asarray(picture(1, 40, 31))
    content = encoded(picture(1, 40, 31), "PNG")
    np.testing.assert_array_equal(Cut(20)(content, None), image[5:25, 10:30])
    np.testing.assert_array_equal(Cut(31, (31, 31))(content, None), image[:, 4:35])


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
@pytest.mark.parametrize("short", [24, 30, 75, 120])
def test_a_scaled_square_is_that_of_the_scaled_image(format, short):
    content = encoded(picture(4, 160, 120), format, **({"quality": 95} if format == "JPEG" else {}))
    whole = load(open_image(content)).resize((short * 4 // 3, short), Image.Resampling.BILINEAR)
    left, top = (short * 4 // 3 - 20) // 2, (short - 20) // 2
    expected = np.asarray(whole, float)[top : top + 20, left : left + 20]
    error = np.abs(Cut(20, (short, short))(content, None) - expected)
    if format == "PNG":
        assert error.max() <= 1  # the box is rounded
    else:
        assert error.mean() < 5  # decoded smaller


def test_random_squares():
    image, content = np.asarray(picture(1, 9, 8)), encoded(picture(1, 9, 8), "PNG")
    squares = [image[y : y + 6, x : x + 6] for y in range(3) for x in range(4)]
    wanted = {square.tobytes() for square in squares}
    turned = {square[:, ::-1].tobytes() for square in squares}
    words = draws(0, 0, 0, 400)
    assert {Cut(6, random=True)(content, w).tobytes() for w in words} == wanted
    assert {
        Cut(6, random=True, mirror=True)(content, w).tobytes() for w in words
    } == wanted | turned


@pytest.mark.parametrize(("word", "short"), [(0, 10), (2**63, 11), (2**64 - 1, 12)])
def test_random_scales(word, short):
    content, words = encoded(picture(0), "PNG"), np.array([word, 5, 2**63, 0], np.uint64)
    found = Cut(10, (10, 12), random=True)(content, words)
    np.testing.assert_array_equal(found, Cut(10, (short, short), random=True)(content, words))


def test_an_image_smaller_than_the_crop():
    with pytest.raises(DataError, match="40x30 pixels do not fill the crop of 31"):
        Cut(31)(jpeg(0), None)
