"""Saving the weights of a computation to a .npz file and restoring them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon.saverfile import SaverFile


def get_root_ops(computation: Any) -> list[Any]:
    """The ops that a computation, an op, a list or a dict of ops gives."""
    if isinstance(computation, Mapping):
        return [ng.as_op(computation[key]) for key in sorted(computation)]
    if isinstance(computation, ng.ComputationOp):
        return list(computation.values)
    if isinstance(computation, ng.Op):
        return [computation]
    if isinstance(computation, Iterable):
        return [ng.as_op(op) for op in computation]
    raise ValueError(
        f"a computation, an op, a list or a dict of ops is needed, not {computation!r}"
    )


class Saver:
    """Saves what a computation keeps: persistent tensors and variables, by their names.

    `setup_save` and `save`, then `setup_restore` and `restore`, in the same or another process; the
    set-ups may be left out where their arguments are given to the others.
    """

    def __init__(self) -> None:
        self.getter_op_names: tuple[str, ...] | None = None
        self.getter: Any = None
        self.setter: Any = None

    def setup_save(self, transformer: Any, computation: Any) -> None:
        """Prepare `save` for the tensors on which `computation` depends."""
        tensors = _persistent(computation)
        self.getter_op_names = tuple(tensor.name for tensor in tensors)
        self.getter = transformer.computation(tensors)

    def save(
        self,
        filename: str,
        compress: bool = False,
        transformer: Any = None,
        computation: Any = None,
    ) -> None:
        """Write the tensors' values to the file."""
        if self.getter is None:
            self.setup_save(transformer, computation)
        values = zip(self.getter_op_names or (), self.getter(), strict=True)
        SaverFile(filename).write_values(dict(values), compress)

    def setup_restore(self, transformer: Any, computation: Any, filename: str) -> None:
        """Prepare `restore` with the values in the file; a line is printed for each that lacks."""
        values = SaverFile(filename).read_values()
        assignments = []
        for tensor in _persistent(computation):
            if tensor.name in values:
                assignments.append(ng.AssignOp(tensor, values[tensor.name]))
            else:
                print("Warning: Missing weight in save file: " + tensor.name)
        self.setter = transformer.computation(assignments)

    def restore(
        self, transformer: Any = None, computation: Any = None, filename: str | None = None
    ) -> None:
        """Give the tensors the values of the file."""
        if self.setter is None:
            if filename is None:
                raise ValueError("restore needs a filename, here or in setup_restore")
            self.setup_restore(transformer, computation, filename)
        self.setter()


def _persistent(computation: Any) -> list[Any]:
    """The persistent tensors below a computation, each once, but constants and placeholders."""
    ops = ng.Op.ordered_ops(get_root_ops(computation))
    tensors = [x.tensor for op in ops for x in (op, *op.args)]  # args: also what is assigned to
    kept = dict.fromkeys(t for t in tensors if isinstance(t, ng.AssignableTensorOp))
    return [t for t in kept if t.is_persistent and not (t.is_constant or t.is_placeholder)]
