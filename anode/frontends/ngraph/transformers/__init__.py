"""`ngraph.transformers`: what runs computations."""

from anode.frontends.ngraph.transformers.base import (
    Computation,
    Transformer,
    UnsupportedTransformerException,
    allocate_transformer,
    make_transformer,
    make_transformer_factory,
    set_transformer_factory,
    transformer_choices,
)

__all__ = [
    "Computation",
    "Transformer",
    "UnsupportedTransformerException",
    "allocate_transformer",
    "make_transformer",
    "make_transformer_factory",
    "set_transformer_factory",
    "transformer_choices",
]
