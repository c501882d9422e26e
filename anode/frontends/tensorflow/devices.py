"""Names of devices such as "/job:worker/device:GPU:0": what one leaves open, another may give.

Every op runs on this machine whatever its device says; the names are kept for what reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from anode.frontends.tensorflow.opdef import export


@export("DeviceSpec", "python.framework.device.DeviceSpec")
@dataclass
class DeviceSpec:
    """The parts of a device's name; None for one that it leaves open."""

    job: str | None = None
    replica: int | None = None
    task: int | None = None
    device_type: str | None = None
    device_index: int | None = None

    def __post_init__(self) -> None:
        if self.device_type is not None:
            self.device_type = self.device_type.upper()

    @staticmethod
    def from_string(spec: str) -> DeviceSpec:
        """Of text such as "/job:worker/gpu:0"; ValueError if it is none."""
        return DeviceSpec().parse_from_string(spec)

    def parse_from_string(self, spec: str) -> DeviceSpec:
        """Take the parts of the text in place of those there are."""
        parts: dict[str, Any] = {}
        for part in filter(None, spec.split("/")):
            key, *rest = part.split(":")
            if key in ("job", "replica", "task") and len(rest) == 1:
                parts[key] = rest[0] if key == "job" else int(rest[0])
            elif key.upper() in ("CPU", "GPU") or key == "device":
                kind, *index = rest if key == "device" else (key, *rest)
                if "device_type" in parts:
                    raise ValueError(f"Cannot specify multiple device types: {spec!r}")
                parts["device_type"] = kind
                parts["device_index"] = int(index[0]) if index and index[0] != "*" else None
            else:
                raise ValueError(f"Unknown attribute: {key!r} in {spec!r}")
        self.__init__(**parts)  # type: ignore[misc]
        return self

    def merge_from(self, dev: DeviceSpec) -> None:
        """Take what the other gives, and keep what it leaves open."""
        self.__dict__.update(self.make_merged_spec(dev).__dict__)

    def make_merged_spec(self, dev: DeviceSpec) -> DeviceSpec:
        """What the other gives, and else what this one does."""
        given = {f.name: getattr(dev, f.name) for f in fields(dev)}
        return replace(self, **{name: part for name, part in given.items() if part is not None})

    def replace(self, **parts: Any) -> DeviceSpec:
        """The same but for some parts."""
        return replace(self, **parts)

    def to_string(self) -> str:
        parts = ((name, getattr(self, name)) for name in ("job", "replica", "task"))
        text = "".join(f"/{name}:{part}" for name, part in parts if part is not None)
        if self.device_type is None:
            return text
        index = "*" if self.device_index is None else self.device_index
        return f"{text}/device:{self.device_type}:{index}"


def device_name(device: Any) -> str:
    """The text of a spec, or of a string in its long form: "/device:GPU:0" of "/gpu:0"."""
    return str((_parsed(device) if isinstance(device, str) else device).to_string())


@lru_cache
def _parsed(text: str) -> DeviceSpec:
    return DeviceSpec.from_string(text)


@lru_cache
def merged(outer: str, inner: str) -> str:
    """The name whose parts are `inner`'s, and where that leaves them open `outer`'s."""
    return _parsed(outer).make_merged_spec(_parsed(inner)).to_string()
