"""Ops between devices, which anode's single process does not need."""

from __future__ import annotations

from typing import Any

from anode.errors import UnsupportedOp

NAMES = ("AllReduce", "Broadcast", "Gather", "Recv", "Scatter", "Send")


def __getattr__(name: str) -> Any:
    if any(part in name for part in NAMES):
        raise UnsupportedOp(
            f"{name}: ops are not sent between processes, one process runs them all; "
            "leave it out, results are the same"
        )
    raise AttributeError(f"ngraph.op_graph.comm_nodes has no {name!r}")
