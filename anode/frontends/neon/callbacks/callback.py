"""The base of callbacks, and what several of them share."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from anode.frontends.neon import NervanaObject

if TYPE_CHECKING:
    from h5py import File

Model = Any
Frequency = int | list[int] | None

logger = logging.getLogger("neon.callbacks.callbacks")  # the name that is in neon's log lines


class Callback(NervanaObject):
    """Hooks into training. All callbacks write into one HDF5 file, `callback_data`.

    Hooks of epochs fire when (epoch + 1) is a multiple of `epoch_freq`, or epoch is in it if it is
    a list, those of minibatches likewise; None never fires. `on_train_begin` gets the number of
    epochs, the others count from 0.
    """

    def __init__(self, epoch_freq: Frequency = 1, minibatch_freq: Frequency = 1) -> None:
        self.epoch_freq = epoch_freq
        self.minibatch_freq = minibatch_freq
        self.costnm: str | None = None

    def on_train_begin(self, callback_data: File, model: Model, epochs: int) -> None: ...
    def on_train_end(self, callback_data: File, model: Model) -> None: ...
    def on_epoch_begin(self, callback_data: File, model: Model, epoch: int) -> None: ...
    def on_epoch_end(self, callback_data: File, model: Model, epoch: int) -> None: ...

    def on_minibatch_begin(
        self, callback_data: File, model: Model, epoch: int, minibatch: int
    ) -> None: ...

    def on_minibatch_end(
        self, callback_data: File, model: Model, epoch: int, minibatch: int
    ) -> None: ...

    def should_fire(self, callback_data: File, model: Model, time: int, freq: Frequency) -> bool:
        """Whether a hook fires at a time, counted from 0."""
        if isinstance(freq, list):
            return time in freq
        return freq is not None and (time + 1) % freq == 0

    def get_description(self, skip: Any = (), **kwargs: Any) -> dict[str, Any]:
        """The class and the arguments it was made with; data sets by their names only."""
        from anode.frontends.neon.data import NervanaDataIterator

        given: dict[str, Any] = {
            name: getattr(self, name, None) for name in inspect.signature(type(self)).parameters
        }
        data = [name for name, v in given.items() if isinstance(v, NervanaDataIterator)]
        found = super().get_description(skip=[*skip, *data], **kwargs)
        for name in data:
            found["config"][name] = {"type": "Data", "name": given[name].name}
        return found

    def _get_cached_epoch_loss(
        self, callback_data: File, model: Model, epoch: int, label: str
    ) -> dict[str, Any] | None:
        """The loss that a `LossCallback` wrote for this epoch: cost, time and costnm; or None."""
        if self.costnm is None:
            costfunc = getattr(model.cost, "costfunc", None)
            self.costnm = f"{type(costfunc).__name__} Loss" if costfunc else "Loss"
        if f"cost/{label}" not in callback_data:
            return None
        costs = callback_data[f"cost/{label}"]
        every = int(costs.attrs["epoch_freq"])
        if (epoch + 1) % every:
            return None
        times = callback_data[f"time/{label}"]
        place = epoch // every
        return {"cost": costs[place], "time": times[place], "costnm": self.costnm}


def first_minibatch(callback_data: File, epoch: int) -> int:
    """How many minibatches the epochs before `epoch` had."""
    return int(callback_data["time_markers/minibatch"][epoch - 1]) if epoch > 0 else 0


def number(cost: Any) -> float:
    """A cost, which may be an array of one element, as a number."""
    from numpy import asarray

    return float(asarray(cost).reshape(-1)[0])
