"""TensorBoard itself shows what scripts leave for it: what its server answers, and its pages."""

import pytest

import anode.compat
from anode.frontends.tensorflow.core import Graph
from tests.frontends.tensorflow.crossing.board import ROWS, STEPS, Board, write
from tests.frontends.tensorflow.crossing.browser import BROWSER, Browser

pytest.importorskip("tensorboard", reason="tensorboard is not installed")


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """TensorBoard on a run; it reads the checkpoint with the module `tensorflow` served here."""
    import importlib

    folder = tmp_path_factory.mktemp("run")
    anode.compat.install("tensorflow")
    with Graph().as_default():
        write(importlib.import_module("tensorflow"), folder)
    yield Board(folder)
    anode.compat.uninstall("tensorflow")


def test_scalars(board):
    assert list(board.get("plugin/scalars/tags")["."]) == ["loss"]
    points = board.get("plugin/scalars/scalars?run=.&tag=loss")
    assert [step for _, step, _ in points] == list(range(STEPS))
    values = [value for *_, value in points]
    assert values == sorted(values, reverse=True)


def test_graph(board):
    info = board.get("plugin/graphs/info")["."]
    assert info["run_graph"] and info["tags"]["last step"]["profile"]
    graph = board.get("plugin/graphs/graph?run=.").decode()
    for name in ("x", "hidden/W", "hidden/activation", "training/loss", "training/Adam"):
        assert f'name: "{name}"' in graph
    metadata = board.get("plugin/graphs/run_metadata?run=.&tag=last+step").decode()
    assert "node_name" in metadata and "all_end_rel_micros" in metadata


def test_histograms(board):
    assert list(board.get("plugin/histograms/tags")["."]) == ["weights"]
    found = board.get("plugin/histograms/histograms?run=.&tag=weights")
    assert [sum(count for *_, count in buckets) for *_, buckets in found] == [20.0] * STEPS


def test_images(board):
    assert list(board.get("plugin/images/tags")["."]) == ["picture/image/0"]
    found = board.get("plugin/images/images?run=.&tag=picture/image/0&sample=0")
    pictures = [board.get(f"plugin/images/individualImage?{each['query']}") for each in found]
    assert len(pictures) == STEPS and all(p.startswith(b"\x89PNG") for p in pictures)


def test_text(board):
    found = board.get("plugin/text/text?run=.&tag=note")
    assert [each["text"] for each in found] == ["<p><strong>bold</strong> words</p>"] * STEPS


def test_projector(board):
    assert board.get("plugin/projector/runs") == ["."]
    info = board.get("plugin/projector/info?run=.")
    assert info["modelCheckpointPath"].endswith(f"/model-{STEPS}")
    (first, *_) = info["embeddings"]
    assert first == {
        "tensorName": "embedding",
        "metadataPath": "labels.tsv",
        "tensorShape": [ROWS, 4],
    }
    assert len(board.get("plugin/projector/tensor?run=.&name=embedding")) == ROWS * 4 * 4
    labels = board.get("plugin/projector/metadata?run=.&name=embedding").decode()
    assert labels.splitlines() == [f"row {i}" for i in range(ROWS)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Browser(tmp_path_factory.mktemp("browser"))
    yield made
    made.close()


GROUP = """deep('g.node[data-name="hidden"] rect')[0]"""
PAGES = {
    "scalars": ["words().includes('loss')", "words('svg text').includes('2')"],
    "graphs": [
        "['hidden', 'training', 'embedding'].every(n => words('text').includes(n))",
        f"({GROUP}.dispatchEvent(new MouseEvent('dblclick', {{bubbles: true}})), true)",
        "['W', 'activation', 'MatMul'].every(n => words('text').includes(n))",
    ],
    "histograms": [f"deep('.histogram').length == {STEPS}"],
    "images": ["deep('img').some(i => i.naturalWidth == 5 && i.naturalHeight == 4)"],
    "projector": [f"deep('.numDataPoints').some(e => e.textContent.trim() == '{ROWS}')"],
    "text": ["words('strong').includes('bold')"],
}


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("page", PAGES)
def test_pages(board, browser, page):
    board.get("plugin/projector/runs")  # the page of an inactive plugin shows nothing
    browser.open("about:blank")
    browser.open(f"{board.url}#{page}")
    for condition in PAGES[page]:
        browser.wait(condition)
