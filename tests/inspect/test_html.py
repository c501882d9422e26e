"""The page of a report holds what the report says, and a real browser draws it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anode import ops
from anode.backends.cpu.profile import TimedCompiled
from anode.backends.cpu.target import host_target
from anode.frontends import layers as nn
from anode.inspect.drawing import draw, draw_layers
from anode.inspect.explain import Report, explain
from anode.inspect.html import chrome_trace, html, write
from anode.ir.graph import close, fresh_inputs, trace
from anode.ir.types import tensor
from anode.runtime.state import State
from tests.inspect.test_explain import training_graph

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
PEAK = {"gflops": 100.0, "gbs": 20.0}
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def report() -> Report:
    graph = training_graph()
    compiled = TimedCompiled(graph, host_target(), 2)
    inputs = [np.zeros(type.static, type.dtype.numpy) for type in graph.types]
    profile = compiled.profile(inputs, State.initial(graph.variables), runs=3)
    return explain(compiled).timed(profile)


def embedded(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    return json.loads(found.group(1))


def test_the_page_holds_the_report(report: Report) -> None:
    data = embedded(html(replace(report, peak=PEAK), "a title"))
    assert data["title"] == "a title"
    assert [kernel["name"] for kernel in data["kernels"]] == [k.name for k in report.kernels]
    assert all(kernel["seconds"] > 0 for kernel in data["kernels"])
    assert len(data["decisions"]) == len(report.decisions)
    assert [m["used"] + m["waiting"] for m in data["moments"]] == list(report.memory.by_step)
    assert data["graphs"][0]["name"] == "as written"
    assert data["graphs"][-1]["name"] == "fuse"
    assert len(data["tasks"]) == sum(kernel.tasks for kernel in report.kernels)


def test_the_page_needs_nothing_else(report: Report) -> None:
    page = html(report, "alone")
    assert not re.search(r'(src|href)="|url\(|@import|fetch\(', page)


def test_names_cannot_end_the_data(report: Report) -> None:
    page = html(report, "</script><script>alert(1)</script>")
    assert embedded(page)["title"] == "</script><script>alert(1)</script>"
    assert "<script>alert" not in page


def test_a_report_without_times_says_how_to_get_them() -> None:
    compiled = TimedCompiled(training_graph(), host_target(), 1)
    data = embedded(html(explain(compiled), "untimed"))
    assert data["tasks"] == [] and data["kernels"][0]["seconds"] is None
    with pytest.raises(ValueError, match="no timed run"):
        chrome_trace(explain(compiled))


def test_the_trace_has_an_event_for_each_task(report: Report) -> None:
    events = json.loads(chrome_trace(report))["traceEvents"]
    ran = [event for event in events if event["ph"] == "X"]
    assert len(ran) == sum(kernel.tasks for kernel in report.kernels)
    assert {event["tid"] for event in ran} <= {0, 1}
    assert all(event["dur"] >= 0 and event["name"] and event["args"]["lines"] for event in ran)


def test_drawings_have_every_node_and_edges_lead_down() -> None:
    x = tensor("f32", 4, 5)
    graph = trace(lambda x, y: [ops.tanh(x) + ops.exp(y), ops.exp(y) * x], x, x)
    drawing = draw(graph)
    assert sorted(box.label for box in drawing.boxes) == sorted(n.op.name for n in graph.nodes)
    for a, b in drawing.edges:
        assert drawing.boxes[a].y < drawing.boxes[b].y
    places = [(box.x, box.y) for box in drawing.boxes]
    for i, (x1, y1) in enumerate(places):
        assert all(y1 != y2 or abs(x1 - x2) > 0.99 for x2, y2 in places[:i])


def test_layers_are_lines_and_variables() -> None:
    """Layers that one line makes are apart, and an activation is with its product."""
    model = nn.Model([nn.Affine(5, bias=0.0, activation=nn.Rectlin()) for _ in range(2)])
    x = tensor("f32", 4, 3)
    model.build(x)
    (input,) = fresh_inputs(x)
    prediction, _ = model.forward(input, training=False)
    drawing = draw_layers(close([input], [prediction.value]))
    names = [box.label.partition(",")[0] for box in drawing.boxes]
    assert names[1:] == ["Linear_0", "Bias_0", "Linear_1", "Bias_1"]  # after the input
    assert "relu" in drawing.boxes[2].type and "relu" in drawing.boxes[4].type
    assert drawing.edges == ((0, 1), (1, 2), (2, 3), (3, 4))
    assert all(a != b for a, b in draw_layers(training_graph()).edges)


def test_layers_in_containers_and_in_loops_are_apart() -> None:
    """Blocks that the same lines make follow each other; what a loop adds up is one box a turn."""

    def block() -> nn.MergeSum:
        affine = nn.Affine(3)
        return nn.MergeSum([[affine], [nn.SkipNode()]])

    model, x = nn.Model([block(), nn.Activation(nn.Rectlin()), block()]), tensor("f32", 4, 3)
    model.build(x)
    (input,) = fresh_inputs(x)
    prediction, _ = model.forward(input, training=False)
    drawing = draw_layers(close([input], [prediction.value]))
    names = [box.label.partition(",")[0] for box in drawing.boxes]
    added = names[2]  # where the container was made
    assert names[1:3] == ["MergeSum_0.Linear_0", added]
    assert names[4:] == ["MergeSum_1.Linear_0", added]
    assert drawing.edges == ((0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (4, 5))


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write(path, "new \ud800")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def browse(page: Path, *arguments: str) -> str:
    """What a real browser makes of the page at the end of its scripts."""
    assert BROWSER is not None
    command = [BROWSER, *FLAGS, f"--user-data-dir={page.parent / 'profile'}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.stdout


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_browser_draws_it(report: Report, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write(page, html(replace(report, peak=PEAK), "drawn"))
    kernel = report.kernels[1].name
    drawn = browse(page, "--dump-dom", f"file://{page}#kernels={kernel}")
    assert 'data-ready="yes"' in drawn  # no script stopped on the way
    steps = len(report.moments)
    assert drawn.count('class="moment"') == steps
    assert drawn.count('class="used"') == drawn.count('class="waiting"') == steps
    assert 'id="peak-label"' in drawn
    assert drawn.count('class="life"') == len(report.lifetimes)
    assert drawn.count('class="task"') == sum(k.tasks for k in report.kernels)
    assert drawn.count('class="node"') == len(draw_layers(report.graphs[0][1]).boxes)
    assert f'class="picked" data-name="{kernel}"' in drawn


ACTIONS = """<script>
const before = $("canvas").getAttribute("viewBox");
$("canvas").dispatchEvent(new WheelEvent("wheel", {deltaY: 1, cancelable: true}));
document.body.dataset.zoomed = before !== $("canvas").getAttribute("viewBox");
document.querySelector(".moment").dispatchEvent(new MouseEvent("mousemove"));
document.body.dataset.tip = $("tip").textContent;
document.querySelector(".node").dispatchEvent(new MouseEvent("click"));
document.body.dataset.side = $("side").textContent;
$("detail").value = "nodes";
$("stage").value = 0;
$("stage").onchange();
document.body.dataset.nodes = document.querySelectorAll(".node").length;
$("find").value = "TEST_EXPLAIN.PY:";
$("find").oninput();
document.body.dataset.found = [...document.querySelectorAll(".node")].filter(n =>
  n.style.opacity === "1").length;
document.querySelector("#kernel-table th:nth-child(3)").click();
document.body.dataset.slowest = document.querySelector("#kernel-table tbody tr").dataset.name;
$("which").value = "refused";
$("which").onchange();
document.body.dataset.refused = document.querySelectorAll("#decision-table tbody tr").length;
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_without_a_measured_peak_there_are_no_shares_of_it(report: Report, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write(page, html(report, "no peak"))
    drawn = browse(page, "--dump-dom", f"file://{page}#kernels")
    table = drawn[drawn.index('id="kernel-table"') : drawn.index('<section id="graph"')]
    assert 'data-ready="yes"' in drawn and "GFLOP/s" in table
    assert 'class="bar"' not in table and "Shares are" not in drawn.partition("<script")[0]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_browser_answers(report: Report, tmp_path: Path) -> None:
    """Zooming, hovering, clicking, choosing a graph, sorting and filtering."""
    page = tmp_path / "report.html"
    made = html(replace(report, peak=PEAK), "used")
    write(page, made.replace("</body>", ACTIONS + "</body>"))
    drawn = browse(page, "--dump-dom", f"file://{page}#graph")
    (body,) = re.findall(r"<body ([^>]*)>", drawn)
    said = dict(re.findall(r'data-(\w+)="([^"]*)"', body))
    assert said["zoomed"] == "true"
    moment = report.moments[0]
    assert moment.step in said["tip"] and moment.uses[0].names[0] in said["tip"]
    assert "reads" in said["side"]
    assert int(said["nodes"]) == len(draw(report.graphs[0][1]).boxes)
    boxes = draw(report.graphs[0][1]).boxes
    assert int(said["found"]) == sum("test_explain.py:" in box.origin for box in boxes) > 0
    slowest = max(report.kernels, key=lambda kernel: kernel.seconds or 0)
    assert said["slowest"] == slowest.name
    assert int(said["refused"]) == sum(d.refused for d in report.decisions)
