"""What a saved model says about itself, searched without building the model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from anode.frontends.neon import logger as neon_logger

Description = dict[str, Any]


class ModelDescription(dict[str, Any]):
    """The dictionary of `Model.serialize`, or of the file that it was saved in."""

    def __init__(self, pdict: Any) -> None:
        if isinstance(pdict, str):
            from anode.frontends.neon.util.persist import load_obj

            pdict = load_obj(pdict)
        super().__init__(pdict)

    @property
    def version(self) -> str:
        """The version of neon that wrote it."""
        return str(self["neon_version"])

    def layers(self, field: str = "name", regex: str | None = None) -> list[Any]:
        """The value of `field` of each layer that has it and, if given, matches `regex`."""
        pattern = re.compile(regex) if regex is not None else None
        return self.find_layers(self["model"]["config"], field, regex=pattern)

    @staticmethod
    def find_layers(layers: Description, field: str, regex: Any = None) -> list[Any]:
        """The same within the configuration of one container."""
        values = [layer["config"][field] for layer in _walk(layers) if field in layer["config"]]
        return [value for value in values if regex is None or regex.match(value)]

    def getlayer(self, layer_name: str) -> Description | None:
        """The description of the layer of this name; None where there is none."""
        return self.find_by_name(self["model"]["config"], layer_name)

    @staticmethod
    def find_by_name(layers: Description, layer_name: str) -> Description | None:
        """The same within the configuration of one container."""
        named = (layer for layer in _walk(layers) if layer["config"].get("name") == layer_name)
        return next(named, None)

    @staticmethod
    def match(o1: Any, o2: Any) -> bool:
        """Whether two descriptions are equal, but for the names of layers."""
        if type(o1) is not type(o2):
            return False
        if isinstance(o1, dict):
            if o1.keys() != o2.keys():
                neon_logger.display("Missing keys")
                return False
            return all(ModelDescription.match(o1[k], o2[k]) for k in o1 if k != "name")
        if isinstance(o1, (list, tuple)):
            same = len(o1) == len(o2)
            return same and all(map(ModelDescription.match, o1, o2))
        return bool(np.array_equal(o1, o2) if isinstance(o1, np.ndarray) else o1 == o2)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, dict) or "model" not in self or "model" not in other:
            return False
        return self.match(self["model"], other["model"])

    __hash__ = None


def _walk(config: Description) -> Iterator[Description]:
    """The layers of a container, each followed by those inside it."""
    for layer in config["layers"]:
        yield layer
        if "layers" in layer["config"]:
            yield from _walk(layer["config"])
