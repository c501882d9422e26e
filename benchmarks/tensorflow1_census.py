"""`python -m benchmarks.tensorflow1_census [FOLDER]`: what TensorFlow-1 code uses and anode serves.

FOLDER (../shared/reference/tf1) has tables of a count over public repositories: the symbols, the
keywords and the members that files use. Each is looked up in what anode serves; a name that only
raises is missing. `--repository` and `--files` read scripts and notebooks instead of the tables.

The tables say for each symbol how many of the 1,285 runnable files use it, not which. So the share
of complete files has bounds. Lower: no two missing things occur in one file. Upper: all missing
things occur in the files of the most frequent one. The estimate lies between: the missing things of
one area (tf.keras, tf.contrib.learn) occur in the files of its most frequent one, two areas never
in one file. A keyword loses no more files than use it, nor more than use its symbol. Members of
objects whose class the count did not know (also lists, NumPy arrays, sklearn's estimators) cost
nothing: `unknown` says how many of them some class served has.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from anode.frontends.tensorflow.modules import names
from benchmarks import script_symbols, served

RUNNABLE = 1285
TABLES = Path(__file__).resolve().parents[2] / "shared" / "reference" / "tf1"
# The objects of object_methods.tsv, and the classes that serve their members.
OBJECTS = {
    "Session": ("Session", "InteractiveSession"),
    "Variable": ("Variable",),
    "Saver": ("train.Saver",),
    "FileWriter": ("summary.FileWriter",),
    "Queue": ("FIFOQueue",),
    "Coordinator": ("train.Coordinator",),
    "Optimizer": ("train.Optimizer",),
    "VariableScope": ("VariableScope",),
    "ConfigProto": ("ConfigProto",),
    "Graph": ("Graph",),
    "Dataset": ("data.Dataset",),
    "EMA": ("train.ExponentialMovingAverage",),
    "Estimator": ("estimator.Estimator",),
    "RNNCell": ("nn.rnn_cell.RNNCell",),
    "Keras": ("keras.Model", "keras.Sequential", "keras.preprocessing.text.Tokenizer"),
}


# What the count took for TensorFlow's: the classes of 1.15 have no such members. Other libraries
# set them (tflearn adds names to GraphKeys), or the object was another one.
FOREIGN = {
    "Session": ("._default_session", "._session", ".endswith"),
    "Variable": (".numpy", ".gradient", ".group", ".param", ".append", ".register_hook"),
    "Optimizer": (".make_session_run_hook", ".meta_loss", ".optimize_op"),
    "ConfigProto": (".get_args", ".cluster_spec", ".task_type", ".task_id"),
    "Graph": (".op",),
    "Keras": (".shape", ".append", ".astype", ".train"),
    "tf.contrib.learn.ModeKeys": ("PREDICT",),
    "tf.GraphKeys": (
        *("LAYER_VARIABLES", "LR_VARIABLES", "TARGETS", "INPUTS", "LAYER_TENSOR", "DATA_PREP"),
        *("DATA_AUG", "EXCL_RESTORE_VARS", "TRAIN_OPS", "GRAPH_CONFIG"),
    ),
    "tf.python.ops.variables.Variable": ("_build_initializer_expr",),
}
UNKNOWN = ("Tensor/Op", "other", "object", "mnist")


@dataclass(frozen=True, order=True)
class Use:
    """Something that files use, and why it is not served, if it is not.

    `runnable` is the most runnable files that it can cost.
    """

    files: int
    runnable: int
    kind: str
    name: str
    gap: str | None = None

    @property
    def area(self) -> str:
        """tf.keras, tf.contrib.learn, …: what usually goes together in a file."""
        parts = self.name.partition("(")[0].split(".")[1:-1]
        kept = [part for part in parts if part not in ("python", "ops", "framework")]
        deep = 2 if kept[:1] == ["contrib"] else 1
        return ".".join(kept[:deep]) or self.name


def rows(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8") as file:
        yield from csv.reader(file, delimiter="\t")


def runnable(folder: Path) -> dict[str, int]:
    """How many of the runnable files use a symbol, in the order that completes files soonest."""
    return {row[1]: int(row[2]) for row in list(rows(folder / "greedy_order.tsv"))[1:]}


def symbols(folder: Path, counts: dict[str, int]) -> Iterator[Use]:
    for name, files, *_ in list(rows(folder / "census.tsv"))[1:]:
        yield Use(int(files), counts.get(name, 0), "symbol", name, served.symbol_gap(name))


def keywords(folder: Path, counts: dict[str, int]) -> Iterator[Use]:
    """The keywords of the symbols that are served; the others are missing as a whole."""
    for symbol, keyword, files in list(rows(folder / "kwargs.tsv"))[1:]:
        if served.symbol_gap(symbol) is None:
            lost = min(int(files), counts.get(symbol, 0))
            gap = served.keyword_gap(symbol, keyword)
            yield Use(int(files), lost, "keyword", f"{symbol}({keyword}=)", gap)


def members(folder: Path, counts: dict[str, int]) -> Iterator[Use]:
    """The members of objects of known classes, and the attributes of classes."""
    for thing, member, files in list(rows(folder / "object_methods.tsv"))[1:]:
        if thing not in UNKNOWN and member not in FOREIGN.get(thing, ()):
            gap = None if _has(thing, member[1:]) else "no such member"
            yield Use(int(files), min(int(files), RUNNABLE), "member", f"{thing}{member}", gap)
    for name, files in rows(folder / "class_attrs.tsv"):
        thing, _, member = name.rpartition(".")
        lost = min(int(files), counts.get(thing, 0))
        if member not in FOREIGN.get(thing, ()) and served.symbol_gap(thing) is None:
            yield Use(int(files), lost, "member", name, served.symbol_gap(name))


def unknown(folder: Path) -> Iterator[Use]:
    """The members of objects whose class the count did not know."""
    for thing, member, files in list(rows(folder / "object_methods.tsv"))[1:]:
        if thing in UNKNOWN:
            there = any(served.has_member(cls, member[1:]) for cls in _classes())
            gap = None if there else "no class has it"
            yield Use(int(files), 0, "unknown", f"{thing}{member}", gap)


def _has(thing: str, member: str) -> bool:
    """Whether the classes that stand for an object have a member, or the module of that name."""
    found = [f"tf.{name}" for name in OBJECTS[thing]]
    return any(
        served.has_member(served.resolved(symbol), member)
        for symbol in found
        if served.symbol_gap(symbol) is None
    )


@cache
def _classes() -> tuple[type, ...]:
    """All classes that are served, and Python's and NumPy's that results are made of."""
    import numpy as np

    loaded = (f"tf.{path}" for path in names() if not path.startswith("@"))
    found = (served.resolved(path) for path in loaded if served.symbol_gap(path) is None)
    return (list, dict, str, bytes, np.ndarray, *{x for x in found if isinstance(x, type)})


def share(uses: Iterable[Use], weight: str) -> str:
    """The served share of uses, weighted by files."""
    pairs = [(getattr(use, weight), use.gap is None) for use in uses]
    total = sum(files for files, _ in pairs) or 1
    return f"{sum(files for files, there in pairs if there) / total:7.1%} of {total}"


def complete(uses: Iterable[Use]) -> tuple[float, float, float]:
    """The share of runnable files that lack nothing: lower bound, estimate, upper bound."""
    lost: dict[str, list[int]] = defaultdict(list)
    for use in uses:
        if use.gap is not None and use.runnable:
            lost[use.area].append(use.runnable)
    worst = [max(files) for files in lost.values()]
    losses = sum(map(sum, lost.values())), sum(worst), max(worst, default=0)
    low, middle, high = (max(0.0, 1 - files / RUNNABLE) for files in losses)
    return low, middle, high


def from_tables(folder: Path, shown: int) -> str:
    counts = runnable(folder)
    kinds = {
        "symbols": list(symbols(folder, counts)),
        "keywords": list(keywords(folder, counts)),
        "members": list(members(folder, counts)),
        "unknown": list(unknown(folder)),
    }
    uses = [use for found in kinds.values() for use in found]
    low, middle, high = complete(uses)
    only_low, only_middle, only_high = complete(kinds["symbols"])
    lines = ["served, weighted by the files that use it"]
    lines += [f"  {kind:<9}{share(found, 'files')}" for kind, found in kinds.items()]
    lines.append(f"  {'symbols of runnable files':<26}{share(kinds['symbols'], 'runnable')}")
    lines.append(f"runnable files complete, of {RUNNABLE} (lower bound, estimate, upper bound)")
    lines.append(f"  by symbols          {only_low:7.1%}{only_middle:7.1%}{only_high:7.1%}")
    lines.append(f"  and keywords, members{low:6.1%}{middle:7.1%}{high:7.1%}")
    lines += greedy(counts)
    for kind, found in kinds.items():
        gaps = sorted(
            (use for use in found if use.gap), key=lambda use: (-use.runnable, -use.files)
        )
        lines.append(f"missing {kind}: {len(gaps)} of {len(found)} (runnable files, all files)")
        lines += [f"{u.runnable:6}{u.files:6}  {u.name}: {u.gap}" for u in gaps[:shown]]
    return "\n".join(lines)


def greedy(counts: dict[str, int]) -> Iterator[str]:
    """Where the gaps lie in the order that completes files soonest."""
    gaps = [i for i, name in enumerate(counts, 1) if served.symbol_gap(name) is not None]
    yield f"gaps in the greedy order of {len(counts)} symbols: first {gaps[:5]}"
    tops = (100, 200, 300, 400, 500, 700, len(counts))
    yield "  " + ", ".join(f"{sum(i <= top for i in gaps)} in the top {top}" for top in tops)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=TABLES)
    parser.add_argument("--files", nargs="+", default=[], metavar="GLOB")
    parser.add_argument("--repository", nargs="+", default=[], metavar="GIT_FOLDER")
    parser.add_argument("--shown", type=int, default=40, help="missing things of each kind")
    given = parser.parse_args(arguments)
    sys.argv[1:] = []  # tf.app.flags.FLAGS parses it when an attribute is looked up
    if given.files or given.repository:
        print(script_symbols.report(given.files, given.repository, given.shown))
    else:
        print(from_tables(given.folder, given.shown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
