"""`anode explain`: the report of a model's training step, or of a graph in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anode.commands.settings import DATASETS, Settings, at_least, known
from anode.commands.train import COST
from anode.errors import DataError, GraphError, UnsupportedOp
from anode.inspect.explain import Report, explain
from anode.ir.graph import Graph
from anode.ir.types import TensorType, tensor
from anode.models import ARCHITECTURES
from anode.rewrite.selection import Selection
from anode.runtime.executable import chosen_threads

DRAWN = ("select", "svg", "dot")
OTHER = (
    "threads",
    "size",
    "function",
    "name",
    "measure",
    "html",
    "trace",
    *DRAWN,
)  # not a model's options


def run(what: str, given: Mapping[str, Any]) -> str:
    """Write the files that are asked for, and give what is to be printed."""
    from anode.inspect.html import chrome_trace, html, write

    if any(name in given for name in DRAWN):
        return drawn(what, given)
    found = report(what, given)
    written = []
    if "trace" in given:
        write(given["trace"], chrome_trace(found))
        written.append(f"{given['trace']}: open it in ui.perfetto.dev or chrome://tracing")
    if "html" in given:
        write(given["html"], html(found, f"anode explain {what}"))
        written.append(f"{given['html']}: open it in a browser")
    return "".join(line + "\n" for line in written) or str(found)


def drawn(what: str, given: Mapping[str, Any]) -> str:
    """Write diagrams of a model's layers, or of a graph, and give what was selected."""
    from anode.inspect.diagram import draw

    if other := [name for name in ("name", "measure", "html", "trace") if name in given]:
        raise UnsupportedOp(f"--{other[0]} is for a report, --select, --svg and --dot draw")
    options = {name: value for name, value in given.items() if name not in OTHER}
    selector = given.get("select")
    found: Selection
    if what in DATASETS:
        model, x = Settings(**options).network(), tensor("u8", 1, 28, 28)
        found = model.select(selector or "layer", x)
    elif what in ARCHITECTURES:
        network = ARCHITECTURES[what]
        found = network.model().select(selector or "layer", network.types(1)[0])
    else:
        found = graph_of(what, given).select(selector or "*")
    diagram = draw(found, marked=selector is not None)
    files = [given[name] for name in ("svg", "dot") if name in given]
    for name in files:
        diagram.save(name)
    return str(found) + "\n" if selector else "".join(f"{name}: written\n" for name in files)


def limits(threads: int) -> dict[str, float]:
    """What the machine can do, for the shares of it that kernels reach."""
    from anode.inspect.peak import copy_gbs, fma_gflops

    return {"gflops": fma_gflops(threads, trials=6), "gbs": copy_gbs(threads, trials=6)}


def report(what: str, given: Mapping[str, Any]) -> Report:
    """The report of `what`: the name of a data set or model, or the path of a graph's text."""
    model = {name: value for name, value in given.items() if name not in OTHER}
    for option in ("threads", "batch"):
        at_least(option, given.get(option), 1)
    threads = given.get("threads") or chosen_threads()
    if what in DATASETS:
        if "size" in given:
            raise UnsupportedOp(f"--size is for a graph's symbolic dims; {what} has --batch")
        graph = training_graph(Settings(**model))
    elif what in ARCHITECTURES:
        if other := [name for name in given if name in model.keys() - {"batch"} or name == "size"]:
            raise UnsupportedOp(f"--{other[0]}: the model {what} takes --batch only")
        graph = ARCHITECTURES[what].training_graph(model.get("batch"))
    else:
        if model:
            raise UnsupportedOp(f"--{next(iter(model))} is for a model; {what} is a graph's text")
        graph = graph_of(what, given)
    timed = bool(given.get("measure") or "trace" in given)
    found = measured(graph, threads) if timed else untimed(graph, threads)
    return found.explain(given["name"]) if "name" in given else found


def untimed(graph: Graph, threads: int | None) -> Report:
    from anode.backends.base import backend_named

    return explain(backend_named("cpu").compile(graph, threads=threads))


def measured(graph: Graph, threads: int | None) -> Report:
    """The report with times, from runs on random numbers between 0 and 1 (integers are 0).

    Variables that have no initialiser, such as random keys, are made up likewise.
    """
    import numpy as np

    from anode.backends.cpu.profile import TimedCompiled
    from anode.backends.cpu.target import host_target
    from anode.runtime.state import State, from_numbers

    target = host_target()
    compiled = TimedCompiled(graph, target, threads or target.cores)
    random = np.random.default_rng(0)

    def numbers(type: TensorType) -> np.ndarray:
        shape = type.static
        drawn = random.random(shape, np.float32) if type.dtype.is_float else np.zeros(shape, bool)
        return from_numbers(drawn, type.dtype, "made-up data")

    inputs = [numbers(type) for type in graph.types if isinstance(type, TensorType)]
    given = {v: numbers(v.type) for v in graph.variables if v.init is None}  # random keys, and such
    profile = compiled.profile(inputs, State.initial(graph.variables, values=given))
    return explain(compiled).timed(profile, limits(compiled.threads))


def training_graph(settings: Settings) -> Graph:
    """The graph of a training step on a minibatch of 28×28 images."""
    model = settings.network()
    x, y = tensor("u8", settings.batch, 28, 28), tensor("u8", settings.batch)
    model.build(x)
    return model.training_step(COST, settings.solver()).graph(x, y)


def graph_of(what: str, given: Mapping[str, Any]) -> Graph:
    """The graph in the file `what`, text or an archive, with its symbolic dims bound."""
    if not Path(what).exists():
        known("data set, model or file", what, (*DATASETS, *ARCHITECTURES))
    graph = unbound(what, given.get("function"))
    graph = graph.bind(**dict(map(one_size, given.get("size") or ())))
    if graph.dims:
        dims = ", ".join(sorted(graph.dims))
        raise GraphError(f"{what}: give the size of {dims} with --size, such as --size n=32")
    return graph


def unbound(what: str, function: str | None) -> Graph:
    """The graph whose text is in a file, or that of a function of an archive."""
    from anode import ops  # noqa: F401 (the reader calls ops by name)
    from anode.export.archives import load
    from anode.export.file import is_archive
    from anode.ir.text import parse

    if is_archive(what):
        archive = load(what)
        return archive.function(function or next(iter(archive.functions))).graph
    if function is not None:
        raise UnsupportedOp(f"--function is for an archive; {what} is none")
    try:
        text = Path(what).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise DataError(f"{what}: cannot be read ({reason})") from error
    words = (line.partition("#")[0].split() for line in text.splitlines())
    if next(filter(None, words), [""])[0] != "anode":
        script = what.endswith((".py", ".ipynb"))
        way = f"; anode run --report {what} shows what a script compiles" * script
        raise DataError(f"{what}: no archive and no graph's text, which begins with 'anode 1'{way}")
    return parse(text, what)


def one_size(text: str) -> tuple[str, int]:
    """A name and a size, written n=32."""
    name, _, value = text.partition("=")
    if not name or not value.isdigit():
        raise UnsupportedOp(f"--size {text}: write a dim's name and its size, such as n=32")
    return name, int(value)
