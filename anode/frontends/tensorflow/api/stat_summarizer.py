"""tf.contrib.stat_summarizer: what runs took, added up; and the scope of TensorFlow's compiler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anode.frontends.tensorflow.formats import proto
from anode.frontends.tensorflow.opdef import export

STATS = "contrib.stat_summarizer."


@export(STATS + "StatSummarizer")
class StatSummarizer:
    """Adds up the times of runs, by the name of what ran."""

    def __init__(self) -> None:
        self._runs = 0
        self._times: dict[str, list[int]] = {}  # microseconds

    def ProcessStepStatsStr(self, step_stats_str: bytes) -> None:
        """Add a run: RunMetadata.step_stats, serialized."""
        self.ProcessStepStats(proto.StepStats.FromString(step_stats_str))

    def ProcessStepStats(self, step_stats: Any) -> None:
        """Add a run: RunMetadata.step_stats."""
        self._runs += 1
        for device in step_stats.dev_stats:
            for node in device.node_stats:
                self._times.setdefault(node.node_name, []).append(node.all_end_rel_micros)

    def GetOutputString(self) -> str:
        """A table of the mean times in milliseconds, the longest first."""
        runs = max(self._runs, 1)
        means = {name: sum(times) / runs / 1000 for name, times in self._times.items()}
        total = sum(means.values())
        lines = [f"{'avg ms':>10}{'%':>8}{'times':>7}  name"]
        for name, mean in sorted(means.items(), key=lambda item: -item[1]):
            share = 100 * mean / total if total else 0.0
            lines.append(f"{mean:10.3f}{share:8.2f}{len(self._times[name]):7}  {name}")
        return "\n".join([*lines, f"{total:10.3f} ms in {self._runs} runs on average", ""])

    def PrintStepStats(self) -> None:
        print(self.GetOutputString())


@export(STATS + "NewStatSummarizer")
def NewStatSummarizer(unused: Any) -> StatSummarizer:
    """A StatSummarizer; the graph is not needed."""
    return StatSummarizer()


@export(STATS + "DeleteStatSummarizer")
def DeleteStatSummarizer(ss: StatSummarizer) -> None:
    """Python's collector frees it."""


@export("contrib.compiler.jit.experimental_jit_scope", "xla.experimental.jit_scope")
@contextmanager
def experimental_jit_scope(
    compile_ops: Any = True, separate_compiled_gradients: bool = False
) -> Iterator[None]:
    """Operations for TensorFlow's compiler; anode compiles all of them, inside and outside."""
    yield
