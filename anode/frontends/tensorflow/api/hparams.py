"""tf.contrib.training.HParams: named settings of a model, set from text or dictionaries too."""

from __future__ import annotations

import json
import numbers
import re
from collections.abc import Iterator, Mapping
from typing import Any

from anode.frontends.tensorflow.opdef import export

_ASSIGNMENT = re.compile(
    r"\s*(?P<name>[A-Za-z_][\w.]*)\s*(?:\[\s*(?P<index>\d+)\s*\])?\s*=\s*"
    r"(?:\[(?P<list>[^\]]*)\]|(?P<value>[^,\[]*))\s*(?:,|$)"
)


def _converted(name: str, kind: type, value: Any) -> Any:
    """A value in the type of a setting; ValueError where it would change its meaning."""
    if kind is type(None) or isinstance(value, kind):
        return value
    text = isinstance(value, str)
    if kind is bool and text and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    numeric = isinstance(value, numbers.Number) and not isinstance(value, bool)
    whole = kind is not int or text or isinstance(value, numbers.Integral)
    if kind is str or (kind in (int, float) and (text or numeric) and whole):
        try:
            return kind(value)
        except ValueError:
            pass
    raise ValueError(f"Could not cast hparam '{name}' of type '{kind}' from value {value!r}")


def parse_values(values: str, type_map: Mapping[str, type]) -> dict[str, Any]:
    """The settings of "a=1,b=[1,2],c[0]=3"; an indexed one is a dictionary from index to value."""
    found: dict[str, Any] = {}
    position = 0
    while position < len(values):
        match = _ASSIGNMENT.match(values, position)
        if match is None:
            raise ValueError(f"Malformed hyperparameter value: {values[position:]}")
        position = match.end()
        name = match["name"]
        if name not in type_map:
            raise ValueError(f"Unknown hyperparameter type for {name}")
        kind = type_map[name]
        if match["list"] is not None:
            items = [item.strip() for item in match["list"].split(",") if item.strip()]
            value: Any = [_converted(name, kind, item) for item in items]
        else:
            value = _converted(name, kind, match["value"].strip())
        if match["index"] is None:
            if name in found:
                raise ValueError(f"Multiple assignments to variable '{name}' in {values}")
            found[name] = value
        else:
            found.setdefault(name, {})[int(match["index"])] = value
    return found


@export("contrib.training.HParams", "contrib.training.python.training.hparam.HParams")
class HParams:
    """Settings as attributes; each keeps the type of its first value."""

    _hparam_types: dict[str, tuple[type, bool]]

    def __init__(self, hparam_def: Any = None, model_structure: Any = None, **kwargs: Any) -> None:
        if hparam_def is not None:
            raise NotImplementedError("HParams(hparam_def=...) is not supported by anode")
        self._hparam_types, self._model_structure = {}, model_structure
        for name, value in kwargs.items():
            self.add_hparam(name, value)

    def add_hparam(self, name: str, value: Any) -> None:
        """A new setting; ValueError where the name is taken, or a list is empty."""
        if getattr(self, name, None) is not None:
            raise ValueError(f"Hyperparameter name is reserved: {name}")
        several = isinstance(value, (list, tuple))
        if several and not value:
            raise ValueError(f"Multi-valued hyperparameters cannot be empty: {name}")
        kind = type(value[0]) if several else type(value)
        self._hparam_types[name] = (kind, several)
        setattr(self, name, value)

    def set_hparam(self, name: str, value: Any) -> None:
        """Another value for a setting, in its type."""
        kind, several = self._hparam_types[name]
        if isinstance(value, list):
            if not several:
                raise ValueError(f"Must not pass a list for single-valued parameter: {name}")
            setattr(self, name, [_converted(name, kind, item) for item in value])
        elif several:
            raise ValueError(f"Must pass a list for multi-valued parameter: {name}.")
        else:
            setattr(self, name, _converted(name, kind, value))

    def del_hparam(self, name: str) -> None:
        if name in self._hparam_types:
            delattr(self, name)
            del self._hparam_types[name]

    def parse(self, values: str) -> HParams:
        """Set what a text like "a=1,b=[1,2]" says."""
        types = {name: kind for name, (kind, _) in self._hparam_types.items()}
        for name, value in parse_values(values, types).items():
            if isinstance(value, dict):
                changed = list(getattr(self, name))
                for index, item in value.items():
                    changed[index] = item
                value = changed
            self.set_hparam(name, value)
        return self

    def override_from_dict(self, values_dict: Mapping[str, Any]) -> HParams:
        """Set what a dictionary says; KeyError for a name that is no setting."""
        for name, value in values_dict.items():
            self.set_hparam(name, value)
        return self

    set_from_map = override_from_dict

    def parse_json(self, values_json: str) -> HParams:
        return self.override_from_dict(json.loads(values_json))

    def to_json(
        self,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        plain = {key: value for key, value in self.values().items() if not callable(value)}
        return json.dumps(plain, indent=indent, separators=separators, sort_keys=sort_keys)

    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._hparam_types}

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a setting, or `default`, which must have its type."""
        if key not in self._hparam_types:
            return default
        kind, several = self._hparam_types[key]
        if default is not None and isinstance(default, list) != several:
            raise ValueError(f"Hparam '{key}' of type '{kind}' is incompatible with {default!r}")
        return getattr(self, key)

    def get_model_structure(self) -> Any:
        return self._model_structure

    def set_model_structure(self, model_structure: Any) -> None:
        self._model_structure = model_structure

    def __contains__(self, key: str) -> bool:
        return key in self._hparam_types

    def __iter__(self) -> Iterator[str]:
        return iter(self._hparam_types)

    def __str__(self) -> str:
        return str(sorted(self.values().items()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"
