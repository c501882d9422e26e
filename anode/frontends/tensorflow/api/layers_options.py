"""What layers take as options: activations, initialisers, regularizers by name; sizes as tuples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.dtypes import as_dtype

ACTIVATIONS = frozenset(
    [
        "relu",
        "relu6",
        "elu",
        "selu",
        "softmax",
        "softplus",
        "softsign",
        "leaky_relu",
        "tanh",
        "sigmoid",
    ]
)

INITIALIZERS = {
    "zeros": "zeros_initializer",
    "ones": "ones_initializer",
    "constant": "constant_initializer",
    "uniform": "random_uniform_initializer",
    "random_uniform": "random_uniform_initializer",
    "normal": "random_normal_initializer",
    "random_normal": "random_normal_initializer",
    "truncated_normal": "truncated_normal_initializer",
    "orthogonal": "orthogonal_initializer",
    "identity": "initializers.identity",
    "glorot_uniform": "glorot_uniform_initializer",
    "glorot_normal": "glorot_normal_initializer",
    "he_normal": "initializers.he_normal",
    "he_uniform": "initializers.he_uniform",
    "lecun_normal": "initializers.lecun_normal",
    "lecun_uniform": "initializers.lecun_uniform",
}


def public(path: str) -> Any:
    """A public name of the module tensorflow: `public("nn.relu")`."""
    from anode.frontends.tensorflow.modules import load, names

    return load(names()[path])


def activation(value: Any) -> Callable[..., Any] | None:
    """A function of tensors from a function, the name of one, or None."""
    if value is None or value == "linear":
        return None
    if isinstance(value, str):
        if value not in ACTIVATIONS:
            raise ValueError(f"Unknown activation function:{value}")
        found: Callable[..., Any] = public(f"nn.{value}")
        return found
    if callable(value):
        return value
    raise TypeError(f"Could not interpret activation function identifier: {value!r}")


def initializer(value: Any) -> Any:
    """An initialiser from one, its class, its name, or None."""
    if isinstance(value, str):
        if value not in INITIALIZERS:
            raise ValueError(f"Unknown initializer: {value}")
        return public(INITIALIZERS[value])()
    if isinstance(value, type):
        return value()
    if value is None or callable(value) or hasattr(value, "dtype"):
        return value
    raise ValueError(f"Could not interpret initializer identifier: {value!r}")


def default_initializer(dtype: Any) -> Any:
    """Glorot's uniform initialiser for floats, zeros for the rest."""
    floating = as_dtype(dtype).is_floating
    return initializer("glorot_uniform" if floating else "zeros")


def sizes(value: Any, rank: int, name: str) -> tuple[int, ...]:
    """`rank` whole numbers from one number or a sequence; raises ValueError."""
    if isinstance(value, (list, tuple)):
        found = tuple(int(v) for v in value)
    else:
        try:
            found = (int(value),) * rank
        except TypeError:
            raise ValueError(
                f"The `{name}` argument must be a tuple of {rank} integers. Received: {value}"
            ) from None
    if len(found) != rank:
        raise ValueError(
            f"The `{name}` argument must be a tuple of {rank} integers. Received: {value}"
        )
    return found


def chosen(value: str, among: tuple[str, ...], name: str) -> str:
    """A lower-case option that must be one of a few; raises ValueError."""
    found = str(value).lower()
    if found not in among:
        raise ValueError(f"The `{name}` argument must be one of {among}. Received: {value}")
    return found
