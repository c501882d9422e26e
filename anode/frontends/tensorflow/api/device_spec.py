"""tf.DeviceSpec: the name of a device in parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anode.frontends.tensorflow.opdef import export

PLACES = ("job", "replica", "task")


@export("DeviceSpec", "python.framework.device.DeviceSpec")
@dataclass
class DeviceSpec:
    """A device, as in "/job:ps/replica:0/task:3/device:GPU:0"; None is any."""

    job: str | None = None
    replica: Any = None
    task: Any = None
    device_type: str | None = None
    device_index: Any = None

    def __post_init__(self) -> None:
        for name in ("replica", "task", "device_index"):
            value = getattr(self, name)
            setattr(self, name, None if value is None else int(value))
        if self.device_type is not None:
            self.device_type = self.device_type.upper()

    @classmethod
    def from_string(cls, spec: str) -> DeviceSpec:
        """The device that a text names; ValueError for a part that is none."""
        return cls().parse_from_string(spec)

    def parse_from_string(self, spec: str) -> DeviceSpec:
        """Become the device that a text names."""
        found: dict[str, Any] = {}
        for part in filter(None, (spec or "").split("/")):
            name, *rest = part.split(":")
            if name in PLACES and len(rest) == 1:
                found[name] = rest[0]
            elif name.upper() in ("CPU", "GPU") and len(rest) == 1:
                found |= {"device_type": name, "device_index": _index(rest[0])}
            elif name == "device" and len(rest) == 2:
                found |= {"device_type": rest[0], "device_index": _index(rest[1])}
            else:
                raise ValueError(f"Unknown attribute: '{name}' in '{spec}'")
        self.__dict__.update(vars(DeviceSpec(**found)))
        return self

    def merge_from(self, dev: DeviceSpec) -> None:
        """Take what `dev` says over what this says."""
        self.__dict__.update({k: v for k, v in vars(dev).items() if v is not None})

    def make_merged_spec(self, dev: DeviceSpec) -> DeviceSpec:
        """What `dev` says, and where it says nothing what this says."""
        merged = DeviceSpec(**vars(self))
        merged.merge_from(dev)
        return merged

    def replace(self, **kwargs: Any) -> DeviceSpec:
        """A copy with other parts."""
        return DeviceSpec(**{**vars(self), **kwargs})

    def to_string(self) -> str:
        parts = [
            f"/{name}:{getattr(self, name)}" for name in PLACES if vars(self)[name] is not None
        ]
        if self.device_type is not None:
            index = "*" if self.device_index is None else self.device_index
            parts.append(f"/device:{self.device_type}:{index}")
        return "".join(parts)

    def __hash__(self) -> int:
        return hash(self.to_string())


def _index(text: str) -> str | None:
    return None if text == "*" else text
