"""The progress bar of Keras, character by character."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.opdef import export


@export("keras.utils.Progbar")
class Progbar:
    """A line that grows with work done; `target` is None where the end is not known."""

    def __init__(
        self,
        target: int | None,
        width: int = 30,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Any = None,
        unit_name: str = "step",
    ) -> None:
        self.target, self.width, self.verbose = target, width, verbose
        self.interval, self.unit_name = interval, unit_name
        self.stateful_metrics = set(stateful_metrics or ())
        self._total_width = self._seen_so_far = 0
        self._values: dict[str, list[Any]] = {}
        self._start, self._last_update = time.time(), 0.0

    def update(self, current: int, values: Sequence[tuple[str, Any]] | None = None) -> None:
        """Show that `current` units are done; values are averaged unless they are stateful."""
        for key, value in values or ():
            if key in self.stateful_metrics:
                self._values[key] = [value, 1]
            else:
                done = current - self._seen_so_far
                total, count = self._values.get(key, [0.0, 0])
                self._values[key] = [total + value * done, count + done]
        self._seen_so_far = current
        now = time.time()
        if self.verbose == 1:
            early = now - self._last_update < self.interval
            if early and self.target is not None and current < self.target:
                return
            self._write_bar(current, now)
        elif self.verbose == 2 and (self.target is None or current >= self.target):
            sys.stdout.write(self._count(current) + self._elapsed(now) + self._shown() + "\n")
            sys.stdout.flush()
        self._last_update = now

    def add(self, n: int, values: Any = None) -> None:
        self.update(self._seen_so_far + n, values)

    def _count(self, current: int) -> str:
        if self.target is None:
            return f"{current:7d}/Unknown"
        digits = int(np.log10(self.target)) + 1 if self.target else 1
        return f"{current:{digits}d}/{self.target}"

    def _elapsed(self, now: float) -> str:
        return f" - {now - self._start:.0f}s"

    def _bar(self, current: int) -> str:
        if self.target is None:
            return self._count(current)
        full = int(self.width * current / self.target) if self.target else 0
        bar = "=" * (full - 1) + (">" if current < self.target else "=") if full > 0 else ""
        return f"{self._count(current)} [{bar}{'.' * (self.width - full)}]"

    def _write_bar(self, current: int, now: float) -> None:
        before = self._total_width
        bar = self._bar(current)
        each = (now - self._start) / current if current else 0.0
        if self.target is not None and current < self.target:
            info = f" - ETA: {_clock(each * (self.target - current))}"
        else:
            info = self._elapsed(now) + _pace(each, self.unit_name)
        info += self._shown()
        self._total_width = len(bar) + len(info)
        info += " " * (before - self._total_width)
        if self.target is not None and current >= self.target:
            info += "\n"
        sys.stdout.write("\b" * before + "\r" + bar + info)
        sys.stdout.flush()

    def _shown(self) -> str:
        text = ""
        for key, (total, count) in self._values.items():
            mean = np.mean(total / max(1, count))
            text += f" - {key}: " + (f"{mean:.4f}" if abs(mean) > 1e-3 else f"{mean:.4e}")
        return text


def _clock(seconds: float) -> str:
    whole = int(seconds)
    if seconds > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if seconds > 60 else f"{whole}s"


def _pace(each: float, unit: str) -> str:
    if each >= 1 or each == 0:
        return f" {each:.0f}s/{unit}"
    return f" {each * 1e3:.0f}ms/{unit}" if each >= 1e-3 else f" {each * 1e6:.0f}us/{unit}"
