"""Experiments taken up from a file: the model with its data and callbacks."""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger("neon.util.load_experiment")


def deserialize(fn: str, datasets: Any = None, inference: bool = False) -> tuple[Any, Any, Any]:
    """The model, data set and callbacks of a saved file.

    `datasets`, iterators by name, are used in place of the file's data set. With `inference` the
    optimiser's states are left out.
    """
    from anode.frontends.neon.callbacks.callbacks import Callbacks
    from anode.frontends.neon.models.model import Model
    from anode.frontends.neon.util.persist import load_class, load_obj

    config = load_obj(fn)
    dataset = datasets
    if datasets is not None:
        logger.warning("Ignoring datasets serialized in archive file %s", fn)
    elif "datasets" in config:
        described = config["datasets"]
        dataset = load_class(described["type"]).gen_class(described["config"])
        datasets = dataset.gen_iterators()
    else:
        raise ValueError(f"{fn} has no datasets; give them as the argument datasets")
    name = "train" if "train" in datasets else next(iter(datasets))
    if name != "train":
        logger.warning("Could not find training set iterator, using %s instead", name)
    model = Model(config, datasets[name], weights_only=inference)
    if "callbacks" not in config:
        return model, dataset, None
    for callback in config["callbacks"]["callbacks"]:
        arguments = callback.setdefault("config", {})
        for key, value in arguments.items():
            if isinstance(value, dict) and value.get("type") == "Data":
                arguments[key] = datasets.get(value["name"])
    return model, dataset, Callbacks.load_callbacks(config["callbacks"], model)
