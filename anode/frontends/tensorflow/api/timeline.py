"""`tensorflow.python.client.timeline`: what a run took, for chrome://tracing."""

from __future__ import annotations

import json
import re
from typing import Any

from anode.frontends.tensorflow.opdef import export

_LABEL = re.compile(r"(?P<name>.*) = (?P<op>.*)\((?P<inputs>.*)\)(?:; (?P<note>.*))?")


@export("python.client.timeline.Timeline")
class Timeline:
    """The times in a RunMetadata's `step_stats`, as a trace of Chrome."""

    def __init__(self, step_stats: Any, graph: Any = None) -> None:
        self._step_stats = step_stats

    def generate_chrome_trace_format(
        self, show_dataflow: bool = True, show_memory: bool = False
    ) -> str:
        """The trace as JSON; memory is not traced, so `show_memory` adds nothing."""
        events: list[dict[str, Any]] = []
        for pid, device in enumerate(self._step_stats.dev_stats):
            name = {"name": f"{device.device} Compute"}
            events.append({"name": "process_name", "ph": "M", "pid": pid, "args": name})
            made: dict[str, dict[str, Any]] = {}
            for node in device.node_stats:
                event = _event(node, pid)
                if show_dataflow:
                    events += _flows(event, made)
                made[node.node_name] = event
                events.append(event)
        return json.dumps({"traceEvents": events}, indent=4)


def _event(node: Any, pid: int) -> dict[str, Any]:
    match = _LABEL.fullmatch(node.timeline_label)
    op = match["op"] if match else node.node_name
    args = {"name": node.node_name, "op": op}
    if match:
        inputs = filter(None, match["inputs"].split(", "))
        args |= {f"input{i}": name for i, name in enumerate(inputs)}
        args |= {"note": match["note"]} if match["note"] else {}
    times = {"ts": node.all_start_micros, "dur": node.all_end_rel_micros}
    return {"ph": "X", "cat": "Op", "name": op, "pid": pid, "tid": 0, **times, "args": args}


def _flows(event: dict[str, Any], made: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """An arrow from each stage that made an input of this one."""
    flows: list[dict[str, Any]] = []
    for key, name in event["args"].items():
        if key.startswith("input") and name in made:
            source = made[name]
            base = {"cat": "DataFlow", "name": name, "id": len(made) * 100 + len(flows)}
            end = source["ts"] + source["dur"]
            flows.append({**base, "ph": "s", "pid": source["pid"], "tid": 0, "ts": end})
            flows.append({**base, "ph": "t", "pid": event["pid"], "tid": 0, "ts": event["ts"]})
    return flows
