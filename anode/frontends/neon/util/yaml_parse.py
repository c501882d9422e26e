"""Models that YAML files describe: layers in a row, a cost and an optimiser."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from anode.errors import DataError
from anode.frontends.neon import NervanaObject

MAX_BYTES = 1 << 24


def read_yaml(text: str, source: str) -> dict[str, Any]:
    """The mapping in a YAML text; only plain values are made. `source` names it in errors."""
    try:
        import yaml
    except ImportError as error:
        raise ImportError(
            "YAML files need the pyyaml package: pip install 'anode[neon]'"
        ) from error
    if len(text) > MAX_BYTES:
        raise DataError(f"{source}: larger than {MAX_BYTES} bytes; no model's description is")
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{source}: is no YAML ({' '.join(str(error).split())})") from error
    if not isinstance(found, dict):
        raise DataError(f"{source}: is no mapping of 'layers', 'cost' and others")
    return found


def format_yaml_dict(yamldict: dict[str, Any], type_prefix: str) -> dict[str, Any]:
    """The description with `type_prefix` before its type."""
    yamldict["type"] = type_prefix + yamldict["type"]
    return yamldict


def create_objects(
    root_yaml: Any,
    be_type: str = "cpu",
    batch_size: int = 128,
    rng_seed: int | None = None,
    device_id: int = 0,
    default_dtype: Any = np.float32,
    stochastic_rounding: bool | int = False,
) -> tuple[Any, Any, Any]:
    """The model, cost and optimiser of a YAML mapping, or of the file of this name.

    The backend must be there already: the other arguments are neon's, and it has them.
    """
    from anode.frontends.neon import optimizers
    from anode.frontends.neon.layers import GeneralizedCost
    from anode.frontends.neon.layers.container import Sequential
    from anode.frontends.neon.models import Model

    if NervanaObject.be is None:
        raise AssertionError("Must generate a backend before running this function")
    if isinstance(root_yaml, str):
        with open(root_yaml, encoding="utf-8") as file:
            root_yaml = read_yaml(file.read(), root_yaml)
    root = deepcopy(root_yaml)  # objects take the place of what describes them
    for name in ("layers", "cost"):
        if name not in root:
            raise DataError(f"the YAML file has no {name!r}")
    model = Model(layers=Sequential.gen_class({"layers": root["layers"]}))
    cost = GeneralizedCost.gen_class({"costfunc": {"type": root["cost"]}})
    described = root.get("optimizer")
    if described is None:
        return model, cost, None
    kind = getattr(optimizers, described["type"])
    return model, cost, kind.gen_class(described.get("config", {}))
