"""What anode serves of the module `tensorflow`: names, keywords and members, without calling them.

A function that only raises, or a class whose constructor does, does not count as served. Neither
does a keyword that a signature takes but its function never reads, nor one that only raises.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from anode.frontends.tensorflow.modules import Namespace, tensorflow

REFUSALS = ("NotImplementedError", "UnsupportedOp")
# Functions whose ** are names that the script chooses, or keywords of another function.
FREE = ("arg_scope", "HParams", "repeat", "stack", "make_template", "slim.dataset.Dataset")
# Keywords without an effect here, because what they steer does not exist: placement on devices,
# locks around in-place writes, threads of TensorFlow's executor, its compiler, memory of loops, the
# order in which it adds gradients or takes elements as they come.
NO_CONCERN = frozenset(
    (
        *("allow_soft_placement", "caching_device", "colocate_gradients_with_ops", "container"),
        *("device", "log_device_placement", "shared_name", "use_locking", "use_resource"),
        *("num_parallel_batches", "num_parallel_calls", "num_threads", "parallel_iterations"),
        *("clear_after_read", "swap_memory", "protocol", "compile_ops"),
        *("aggregation_method", "gate_gradients", "sloppy"),
    )
)
# Arguments that TensorFlow 1.15 does not use either, or that only name a thing; a server's threads;
# is_chief is refused only where it is False, which needs a cluster.
UNUSED = frozenset(
    (
        "tf.nn.moments(shift)",
        "tf.nn.embedding_lookup(validate_indices)",
        "tf.map_fn(infer_shape)",
        "tf.train.Server(config)",
        "tf.train.Supervisor(is_chief)",
        "tf.train.MonitoredTrainingSession(is_chief)",
        "tf.import_graph_def(op_dict)",
        "tf.import_graph_def(producer_op_list)",
        "tf.python.ops.tensor_array_ops.TensorArray(tensor_array_name)",
        "tf.python.util.all_util.remove_undocumented(allowed_exception_list)",
    )
)


@cache
def resolved(symbol: str) -> Any:
    """The thing that `tf.x.y` names; AttributeError where it is not served."""
    found: Any = tensorflow
    for part in symbol.split(".")[1:]:
        found = getattr(found, part)
    return found


@cache
def symbol_gap(symbol: str) -> str | None:
    """Why a symbol is not served; None where it is there and does something else than to raise."""
    try:
        return "only raises" if only_raises(resolved(symbol)) else None
    except AttributeError as error:
        return "not in TensorFlow 1.15" if "not a name" in str(error) else "not implemented"
    except Exception as error:  # a file that cannot be imported serves nothing
        return f"{type(error).__name__}: {error}"


def is_served(symbol: str) -> bool:
    """Whether a symbol is there and does something else than to raise."""
    return symbol_gap(symbol) is None


@cache
def tree(function: Any) -> Any:
    """The syntax of a function, or None where there is no source to read."""
    try:
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
        parsed = ast.parse(source).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return None
    return parsed if isinstance(parsed, ast.FunctionDef) else None


def only_raises(thing: Any) -> bool:
    """Whether all that a function, or a class when it is called, does is to raise."""
    if inspect.isclass(thing):
        own = [thing.__dict__.get(name) for name in ("__init__", "__new__")]
        return any(only_raises(inspect.unwrap(f)) for f in own if inspect.isfunction(f))
    if not inspect.isfunction(thing) or (definition := tree(thing)) is None:
        return False
    body = [n for n in definition.body if not _is_docstring(n)]
    return len(body) == 1 and isinstance(body[0], ast.Raise)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def keyword_gap(symbol: str, keyword: str) -> str | None:
    """Why a call of a symbol with this keyword is not served; None where it is."""
    thing = resolved(symbol)
    fields = getattr(thing, "FIELDS", None) or getattr(thing, "DESCRIPTOR", None)
    if fields is not None:
        return None if hasattr(_instance(thing), keyword) else "no such field"
    if keyword in _old_names(thing):
        return None
    functions = list(_called(thing))
    if any(keyword in inspect.signature(f).parameters for f in functions):
        known = keyword in NO_CONCERN or f"{symbol}({keyword})" in UNUSED
        return None if known else _unread(functions, keyword)
    if not functions:  # a type of Python or NumPy: it says itself what it takes
        return None
    if any(_passes_on(f) for f in functions):
        free = symbol.endswith(FREE) or _documents(thing, functions, keyword)
        return None if free else "taken by ** only"
    return "no such keyword"


def _instance(thing: Any) -> Any:
    return thing() if inspect.isclass(thing) else thing


def _old_names(thing: Any) -> frozenset[str]:
    """The keywords that `@renamed` accepts besides those of the signature."""
    found: set[str] = set()
    for function in _called(thing):
        while function is not None:
            found |= set(getattr(function, "__renamed__", ()))
            function = getattr(function, "__wrapped__", None)
    return frozenset(found)


def _called(thing: Any) -> Iterator[Callable[..., Any]]:
    """The functions that a call of `thing` runs: a function, or the constructors of a class."""
    if inspect.isclass(thing):
        for base in thing.__mro__[:-1]:
            own = (base.__dict__.get(name) for name in ("__new__", "__init__"))
            found = [getattr(f, "__func__", f) for f in own if f is not None]
            functions = [f for f in found if inspect.isfunction(f)]
            yield from functions
            if functions and not any(_passes_on(f) for f in functions):
                return
    elif inspect.ismethod(thing):
        yield thing.__func__
    elif inspect.isfunction(thing):
        yield thing
    elif callable(thing) and inspect.isfunction(type(thing).__call__):
        yield type(thing).__call__


def _passes_on(function: Callable[..., Any]) -> bool:
    kinds = (p.kind for p in inspect.signature(function).parameters.values())
    return inspect.Parameter.VAR_KEYWORD in kinds


def _documents(thing: Any, functions: list[Callable[..., Any]], keyword: str) -> bool:
    """Whether a docstring, or the code that reads the keywords, has this one's name."""
    texts = [inspect.getdoc(x) or "" for x in (thing, *functions)]
    for function in functions:
        if (definition := tree(function)) is not None:
            texts.append(ast.unparse(definition))
    return any(re.search(rf"\b{re.escape(keyword)}\b", text) for text in texts)


def _unread(functions: list[Callable[..., Any]], keyword: str) -> str | None:
    """Why a parameter has no effect: no function reads it, or it is only there to be refused."""
    trees = [
        found for f in functions if (found := tree(f)) is not None and keyword in _parameters(found)
    ]
    if not trees:
        return None
    if all(_refuses(definition, keyword) for definition in trees):
        return "raises by name"
    if not any(_reads(definition, keyword) for definition in trees):
        return "taken and not read"
    return None


def _parameters(definition: ast.FunctionDef) -> set[str]:
    args = definition.args
    return {arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs)}


def _reads(definition: ast.FunctionDef, name: str) -> bool:
    return any(
        isinstance(node, ast.Name)
        and (node.id == name or (node.id in ("locals", "vars")))
        and isinstance(node.ctx, ast.Load)
        for statement in definition.body
        for node in ast.walk(statement)
    )


def _refuses(definition: ast.FunctionDef, name: str) -> bool:
    """Whether all that a function does with a parameter is to raise where it is given."""
    uses = refusals = 0
    for node in ast.walk(definition):
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            uses += 1
        if isinstance(node, ast.If) and _raises_refusal(node.body):
            refusals += sum(_is_read(n, name) for n in ast.walk(node))
        if isinstance(node, ast.Call) and "unsupported" in ast.unparse(node.func).lower():
            refusals += sum(_is_read(n, name) for n in ast.walk(node))
    return 0 < uses <= refusals


def _is_read(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)


def _raises_refusal(body: list[ast.stmt]) -> bool:
    last = body[-1]
    return isinstance(last, ast.Raise) and any(
        isinstance(n, ast.Name) and n.id in REFUSALS for n in ast.walk(last)
    )


def has_member(thing: Any, name: str) -> bool:
    """Whether instances of a class have an attribute: a method, a property, a field, self.x = …"""
    if isinstance(thing, Namespace):
        return is_served(f"{thing.__name__}.{name}".replace("tensorflow", "tf", 1))
    if hasattr(thing, name):
        return not only_raises(getattr(thing, name))
    if getattr(thing, "DESCRIPTOR", None) is not None:
        return hasattr(_instance(thing), name)
    return inspect.isclass(thing) and name in assigned(thing)


@cache
def assigned(cls: type) -> frozenset[str]:
    """The attributes that the code of a class assigns to self, and those annotated in it."""
    found: set[str] = set()
    for base in cls.__mro__[:-1]:
        found |= set(inspect.get_annotations(base))
        for function in filter(inspect.isfunction, vars(base).values()):
            if (definition := tree(function)) is not None:
                text = ast.unparse(definition)
                found |= set(re.findall(r"\bself\.(\w+)\b[^=\n]*=(?!=)", text))
    return frozenset(found)
