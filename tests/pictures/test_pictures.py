"""Pictures are written whole, and show in colour and place what they were given."""

import sys

import numpy as np
import pytest
from PIL import Image

from anode.errors import DataError
from anode.pictures import digit_sheet, learning_curves
from anode.pictures.canvas import GREEN, LINES, RED, nice_ticks, tick_labels
from anode.pictures.curves import epoch_ticks

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28), np.uint8)
TRUE = np.array([0, 1, 2, 3, 4, 5])


def load(path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG" and image.mode == "RGB"
        return np.asarray(image)


def places(pixels: np.ndarray, colour: str) -> np.ndarray:
    """Rows and columns [n, 2] of the pixels that have exactly this colour."""
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return np.argwhere((pixels == rgb).all(-1))


def frames(pixels: np.ndarray, colour: str) -> int:
    """Tiles with a frame of this colour: the runs of at least 50 pixels that no run lies above."""
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    hits = (pixels == rgb).all(-1)
    runs = np.lib.stride_tricks.sliding_window_view(hits, 50, axis=1).all(-1)
    corners = runs & ~np.pad(runs, ((1, 0), (1, 0)))[:-1, :-1]
    corners &= ~np.pad(runs, ((0, 0), (1, 0)))[:, :-1] & ~np.pad(runs, ((1, 0), (0, 0)))[:-1]
    return int(corners.sum()) // 2  # an upper and a lower edge


def test_sheet_shows_correct_above_wrong(tmp_path):
    path = tmp_path / "sheet.png"
    digit_sheet(IMAGES, TRUE, np.array([0, 1, 2, 3, 5, 4]), path, "A title")
    pixels = load(path)
    assert frames(pixels, GREEN) == 4 and frames(pixels, RED) == 2
    assert places(pixels, GREEN)[:, 0].max() < places(pixels, RED)[:, 0].min()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("predicted", "absent"), [(TRUE, RED), ((TRUE + 1) % 6, GREEN)])
def test_sheet_with_one_section_empty(tmp_path, predicted, absent):
    digit_sheet(IMAGES, TRUE, predicted, tmp_path / "sheet.png")
    pixels = load(tmp_path / "sheet.png")
    assert frames(pixels, absent) == 0
    assert frames(pixels, GREEN) + frames(pixels, RED) == 6


def test_sheet_grows_by_rows_of_columns(tmp_path):
    shapes = []
    for columns in 2, 6:
        digit_sheet(IMAGES, TRUE, TRUE, tmp_path / "sheet.png", columns=columns)
        shapes.append(load(tmp_path / "sheet.png").shape)
    assert shapes[0][0] > shapes[1][0] and shapes[0][1] < shapes[1][1]


def test_sheet_shows_the_pixels_it_was_given(tmp_path):
    colours = np.zeros((1, 28, 28, 3))
    colours[..., 2] = 1
    digit_sheet(colours, TRUE[:1], TRUE[:1], tmp_path / "sheet.png")
    assert len(places(load(tmp_path / "sheet.png"), "#0000ff")) == 56 * 56


def test_sheet_makes_room_for_names(tmp_path):
    widths = []
    for names in "abcdef", ["a long name"] * 6:
        digit_sheet(IMAGES, TRUE, TRUE, tmp_path / "sheet.png", classes=names)
        widths.append(load(tmp_path / "sheet.png").shape[1])
    assert widths[0] < widths[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": IMAGES.reshape(6, 784)}, r"reshape to \[n, h, w\]"),
        ({"images": IMAGES.astype(np.float32)}, "floats from 0 to 1"),
        ({"images": np.full((6, 2, 2), np.nan)}, "floats from 0 to 1"),
        ({"images": IMAGES.astype(int)}, "int64: give uint8"),
        ({"true": TRUE[:5]}, r"labels \[5\]"),
        ({"predicted": TRUE[:, None]}, r"predictions \[6, 1\]"),
        ({"images": IMAGES[:0], "true": TRUE[:0], "predicted": TRUE[:0]}, "at least one image"),
        ({"classes": "abcde"}, "label 5 has no name among 5"),
        ({"columns": 0}, "columns=0"),
    ],
)
def test_sheet_refuses_what_does_not_fit(tmp_path, change, message):
    arguments = {"images": IMAGES, "true": TRUE, "predicted": TRUE, "path": tmp_path / "x.png"}
    with pytest.raises(DataError, match=message):
        digit_sheet(**arguments | change)
    assert not list(tmp_path.iterdir())


HISTORY = {
    "train loss": [3.0, 2.0, 1.0],
    "test loss": [4.0, 3.0, 2.0],
    "train accuracy": [0.1, 0.2, 0.3],
    "test accuracy": [0.3, 0.2, 0.1],
}


def test_curves_have_a_panel_for_each_quantity(tmp_path):
    path = tmp_path / "curves.png"
    learning_curves(HISTORY, path)
    both = load(path)
    learning_curves({name: HISTORY[name] for name in ("train loss", "test loss")}, path)
    one = load(path)
    assert both.shape[0] == one.shape[0] and both.shape[1] > 1.8 * one.shape[1]
    assert all(len(places(both, colour)) > 1.5 * len(places(one, colour)) for colour in LINES[:2])
    assert not len(places(both, LINES[2]))
    assert list(tmp_path.iterdir()) == [path]


def test_curves_are_drawn_at_their_values(tmp_path):
    learning_curves({"train loss": [4.0, 2.0], "test loss": [2.0, 4.0]}, tmp_path / "c.png")
    area = load(tmp_path / "c.png")[60:290, 70:400]
    for colour, falls in (LINES[0], True), (LINES[1], False):
        rows, columns = places(area, colour).T
        assert (rows[columns.argmin()] < rows[columns.argmax()]) == falls
        assert columns.max() - columns.min() > 300 and rows.max() - rows.min() > 150


def test_curves_leave_a_gap_where_a_value_is_not_finite(tmp_path):
    learning_curves({"loss": [1.0, 2.0, np.nan, 2.0, 1.0]}, tmp_path / "c.png")
    columns = places(load(tmp_path / "c.png"), LINES[0])[:, 1]
    assert np.diff(np.unique(columns)).max() > 50


@pytest.mark.parametrize(
    "values", [[1.0], [0.0], [np.nan], [np.inf, 1.0], [2.5] * 40, [1e-9, 3e-9], [-1e9, 1e9]]
)
def test_curves_of_unusual_values(tmp_path, values):
    learning_curves({"loss": values}, tmp_path / "c.png", "A title")
    assert load(tmp_path / "c.png").std() > 0


@pytest.mark.parametrize("history", [{}, {"loss": []}])
def test_curves_of_nothing(tmp_path, history):
    with pytest.raises(DataError, match="at least one epoch"):
        learning_curves(history, tmp_path / "c.png")


def test_a_failed_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "c.png"
    learning_curves({"loss": [1.0]}, path)
    before = path.read_bytes()

    def fail(self, target, **options):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        learning_curves({"loss": [2.0]}, path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_missing_pillow_is_named_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install 'anode\[cli\]'"):
        learning_curves({"loss": [1.0]}, tmp_path / "c.png")
    with pytest.raises(ImportError, match=r"pip install 'anode\[cli\]'"):
        digit_sheet(IMAGES, TRUE, TRUE, tmp_path / "sheet.png")


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.03, 0.46, ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
        (0.91, 0.998, ["0.90", "0.92", "0.94", "0.96", "0.98", "1.00"]),
        (-1, 9, ["-2", "0", "2", "4", "6", "8", "10"]),
        (0, 0, ["-0.10", "-0.05", "0.00", "0.05", "0.10"]),
    ],
)
def test_ticks_are_round_and_enclose_the_range(low, high, labels):
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low and high <= ticks[-1]
    assert tick_labels(ticks) == labels


@pytest.mark.parametrize(
    ("last", "ticks"), [(1, [1]), (10, list(range(1, 11))), (45, list(range(5, 46, 5)))]
)
def test_epoch_ticks(last, ticks):
    assert epoch_ticks(last) == ticks
