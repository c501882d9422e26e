"""AeonDataLoader: the loader of images and labels that neon took from the package aeon."""

from __future__ import annotations

from typing import Any

from anode.data.manifests import ManifestLoader
from anode.frontends.neon.data.dataloaderadapter import DataLoaderAdapter

AeonLoader = ManifestLoader


def AeonDataLoader(config: dict[str, Any], adapter: bool = True) -> Any:
    """The loader that aeon's `config` describes; with `adapter` its minibatches are tensors.

    See `anode.data.manifests` for what it may have: images and labels.
    """
    loader = AeonLoader(config)
    return DataLoaderAdapter(loader) if adapter else loader
