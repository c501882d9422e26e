"""`anode export` and `anode show`: a trained model as an archive, and what is in one."""

from __future__ import annotations

from math import prod

from anode import export
from anode.commands.settings import settings_of
from anode.commands.train import COST
from anode.ir.text import graph_text
from anode.ir.types import tensor
from anode.runtime import checkpoint


def write(source: str, path: str, rows: int, training: bool) -> str:
    """Make an archive of a checkpoint of `anode train`; with `training`, of its step too."""
    settings = settings_of(checkpoint.load(source)[1], source, {})
    model = settings.network()
    model.load(source)
    if training:
        step = model.training_step(COST, settings.solver())
        step.set_epoch(model.progress.epoch)
        x, y = tensor("u8", settings.batch, 28, 28), tensor("u8", settings.batch)
        made = export.archive(step, x=x, y=y, rows=rows)
    else:
        made = export.archive(model, rows=rows)
    made.save(path)
    return f"{path}: {', '.join(made.functions)}"


def show(path: str, graph: str | None) -> str:
    """What is in an archive: its functions and variables, or the text of one function's graph."""
    found = export.load(path)
    if graph is not None:
        return graph_text(found.function(graph).graph)
    sizes = [prod(type.static) for type in found.variables.values()]
    return f"{found}\n{len(sizes)} variables, {sum(sizes):,} numbers\n"
