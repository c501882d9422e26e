"""Sets of ops and what they hold: variables, placeholders, inputs, outputs, scopes, modes."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.util.names import NameScope, name_scope


class ScopedDict(OrderedDict[str, Any]):
    """Values by their names, which are relative to a scope."""

    def __init__(self, scope: NameScope | str | None, items: Iterable[Any] = ()) -> None:
        self._root = scope.name if isinstance(scope, NameScope) else scope
        super().__init__()
        for key, value in items:
            self[key] = value

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key.rsplit(f"{self._root}/", 1)[-1], value)

    def __str__(self) -> str:
        return str(dict(self))


@contextmanager
def scope_ops(
    name: str | None = None,
    mode: str | None = None,
    subgraph: SubGraph | None = None,
    metadata: dict[str, Any] | None = None,
) -> Iterator[SubGraph]:
    """Ops that are made within belong to `subgraph`, or to a new one, which the context gives.

    They are named below the scope `name`, and carry `metadata` and the mode.
    """
    if subgraph is None:
        subgraph = SubGraph(name=name, reuse_scope=True)
    labels = dict(metadata or {}, **({} if mode is None else {"mode": mode}))
    with name_scope(name=name, reuse_scope=True), ng.Op.all_ops() as ops, ng.metadata(**labels):
        yield subgraph
    subgraph.ops.extend(ops)


class ComputationalGraph:
    """A list of ops; without one it gathers all that are made from now on."""

    def __init__(self, ops: list[Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if ops is None:
            ops = []
            ng.Op.get_all_ops().append(ops)
        self.ops = ops
        self.scope: NameScope | None = None

    def __iter__(self) -> Iterator[Any]:
        return iter(self.ops)

    @property
    def variables(self) -> ScopedDict:
        """The trainable variables."""
        return self._tensors(lambda tensor: tensor.is_trainable)

    @property
    def placeholders(self) -> ScopedDict:
        """The placeholders."""
        return self._tensors(lambda tensor: tensor.is_placeholder)

    def _tensors(self, wanted: Callable[[Any], bool]) -> ScopedDict:
        tensors = [op.tensor for op in self]
        return ScopedDict(self.scope, [(t.name, t) for t in tensors if wanted(t)])

    @property
    def computations(self) -> ScopedDict:
        """The computations."""
        found = [op for op in self if isinstance(op, ng.ComputationOp)]
        return ScopedDict(self.scope, [(op.name, op) for op in found])

    @property
    def scopes(self) -> ScopedDict:
        """Every scope that an op lies in, with the ops below it as a SubGraph."""
        scopes = ScopedDict(self.scope)
        members: dict[str, SubGraph] = {}
        for op in self:
            for name in _enclosing(op):
                if name not in members:
                    members[name] = scopes[name] = SubGraph(name=name, reuse_scope=True)
                members[name].ops.append(op)
        return scopes

    @property
    def modes(self) -> dict[str, ComputationalGraph]:
        """Every mode (as "inference") with its ops and all that those refer to."""
        modes: dict[str, list[Any]] = {}
        for op in self:
            if "mode" in op.metadata:
                modes.setdefault(op.metadata["mode"], []).append(op)
        return {
            mode: ComputationalGraph(list(ng.Op.all_op_references(ops)))
            for mode, ops in modes.items()
        }

    def select(self, css: str) -> list[Any]:
        """The ops that a CSS selector matches, in the order of their making, grouped by scopes.

        An element is the type of an op, or a scope by its layer's class; `#id` a name, `.class` a
        label ('weight', 'bias'), `[attribute=value]` of the metadata; nesting is that of scopes:
        `Affine .bias`, `TensorValueOp`, `[mode=inference]`.
        """
        from anode.frontends.ngraph.frontends.neon.selection import select

        return select(self.ops, css)


def _used(op: Any) -> tuple[Any, ...]:
    """What an op depends on, and the results of a loop's step."""
    return (*op.args, *op.all_deps, *getattr(op, "body", ()))


def _enclosing(op: Any) -> list[str]:
    """The scopes of an op, innermost first: a/b/c, a/b, a."""
    parts = op.scope.name.split("/") if op.scope is not None else []
    return ["/".join(parts[:n]) for n in range(len(parts), 0, -1)]


class SubGraph(ComputationalGraph):
    """Ops that share a scope; layers, containers and optimizers are such."""

    def __init__(
        self,
        ops: list[Any] | None = None,
        name: str | None = None,
        reuse_scope: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(ops=[] if ops is None else ops, **kwargs)
        name = type(self).__name__ if name is None else name
        made: Callable[[str], Any] = NameScope.get_or_create_scope if reuse_scope else NameScope
        scope = made(name)
        self.scope, self.name = scope, str(scope.name)

    @staticmethod
    def scope_op_creation(method: Callable[..., Any]) -> Callable[..., Any]:
        """A method such that the ops it makes belong to its object, within its scope."""

        @functools.wraps(method)
        def scoped(self: SubGraph, *args: Any, **kwargs: Any) -> Any:
            with scope_ops(self.name, subgraph=self, metadata=getattr(self, "metadata", None)):
                return method(self, *args, **kwargs)

        return scoped

    @property
    def inputs(self) -> ScopedDict:
        """The placeholders, and the operands that are no ops of this graph."""
        inputs, own = ScopedDict(self.scope), set(self.ops)
        for op in self:
            if op.tensor.is_trainable:
                continue
            if op.tensor.is_placeholder:
                inputs[op.tensor.name] = op.tensor
                continue
            for arg in op.args:
                if arg not in own:
                    inputs[arg.name] = arg
        return inputs

    @property
    def outputs(self) -> ScopedDict:
        """The ops on which no other op of this graph depends, without variables."""
        ops = [op for op in self if not isinstance(op, ng.AssignableTensorOp)]
        used = {dep for op in ops for dep in _used(op)}
        left = dict.fromkeys(op for op in ops if op not in used)
        return ScopedDict(self.scope, [(op.tensor.name, op.tensor) for op in left])

    @property
    def side_effects(self) -> ScopedDict:
        """What must run before an op though its value needs it not, as assignments."""
        first = [
            dep
            for op in self
            for dep in op.all_deps
            if dep not in op.args and dep.tensor is not op.tensor
        ]
        return ScopedDict(self.scope, [(op.name, op) for op in first])
