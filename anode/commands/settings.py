"""Settings: what `anode train` is asked for, checked, and turned into data, model and optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from math import inf
from typing import Any, TypeVar

from anode.data import Batches, ImageSet, Splits, load_fashion_mnist, load_mnist
from anode.errors import CheckpointError, DataError, UnsupportedOp
from anode.frontends import layers as nn
from anode.frontends.layers.schedules import CONSTANT, AnySchedule
from anode.models import lenet
from anode.scripts import positive

T = TypeVar("T")

DATASETS = ("mnist",)
# Models, each with the initialiser of its hidden layers: under batch normalisation the scale of a
# weight does not matter to the output, and a small one learns faster.
MODELS = {"mlp": "glorot", "mlp-bn": "gaussian", "lenet": "xavier"}
SMALL = nn.Gaussian(scale=0.01)  # of the last layer: the first outputs are nearly uniform
ACTIVATIONS: dict[str, Callable[[], Any]] = {
    "relu": nn.Rectlin,
    "elu": nn.Explin,
    "selu": nn.Selu,
    "gelu": nn.Gelu,
    "silu": nn.Silu,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
    "logistic": nn.Logistic,
    "identity": nn.Identity,
}
INITIALIZERS: dict[str, nn.Initializer] = {
    "gaussian": SMALL,
    "glorot": nn.GlorotUniform(),
    "kaiming": nn.Kaiming(),
    "xavier": nn.Xavier(),
    "orthonormal": nn.Orthonormal(),
}
RATES = {
    "momentum": 0.1,
    "nesterov": 0.1,
    "sgd": 0.1,
    "rmsprop": 0.001,
    "adagrad": 0.01,
    "adadelta": 1.0,
    "adam": 0.001,
}
SCHEDULES = "step:EPOCH,EPOCH:CHANGE, exp:DECAY, power:EPOCHS:CHANGE or poly:TOTAL:POWER"


@dataclass(frozen=True)
class Settings:
    """Everything that decides what a run computes; a checkpoint keeps it, so that runs resume.

    `init` is None for the model's own, `rate` and `momentum` for the optimiser's; `data` is the
    folder of the user's IDX files. Unknown names and numbers out of range raise UnsupportedOp or
    DataError.
    """

    model: str = "mlp"
    hidden: str = "100"
    activation: str = "relu"
    init: str | None = None
    dropout: float = 0.0
    batch: int = 128
    epochs: int = 10
    optimizer: str = "momentum"
    rate: float | None = None
    momentum: float | None = None
    schedule: str | None = None
    seed: int = 0
    data: str | None = None
    fashion: bool = False

    def __post_init__(self) -> None:
        known("model", self.model, MODELS)
        known("activation", self.activation, ACTIVATIONS)
        known("initializer", self.init or MODELS[self.model], INITIALIZERS)
        known("optimizer", self.optimizer, RATES)
        at_least("batch", self.batch, 1)
        at_least("epochs", self.epochs, 1)
        if not 0 <= self.dropout < 1:
            raise UnsupportedOp(f"--dropout {self.dropout}: give a probability from 0 to below 1")
        if self.rate is not None and not 0 < self.rate < inf:
            raise UnsupportedOp(f"--rate {self.rate}: give a number above 0")
        if self.momentum is not None and not 0 <= self.momentum < 1:
            raise UnsupportedOp(f"--momentum {self.momentum}: give a number from 0 to below 1")
        if self.fashion and self.data is None:
            raise DataError(
                "Fashion-MNIST does not come with anode: give the folder of its files with --data"
            )
        self.check_layers()
        self.sizes()
        self.solver()

    def check_layers(self) -> None:
        """Raise UnsupportedOp for options of layers where the model has its own."""
        if self.model != "lenet":
            return
        for name in ("hidden", "activation", "init", "dropout"):
            if getattr(self, name) != type(self).__dataclass_fields__[name].default:
                raise UnsupportedOp(f"--{name}: the layers of {self.model} are fixed; leave it out")

    def sizes(self) -> tuple[int, ...]:
        """The sizes of the hidden layers."""
        return numbers("hidden", self.hidden, int)

    def layers(self) -> list[Any]:
        """The layers: one for each hidden size, then the classes' probabilities; or LeNet's."""
        if self.model == "lenet":
            return lenet()
        init = INITIALIZERS[self.init or MODELS[self.model]]
        offset: dict[str, Any] = {"batch_norm": True} if self.model == "mlp-bn" else {"bias": 0.0}
        found: list[Any] = []
        for size in self.sizes():
            found += nn.Affine(size, init, activation=ACTIVATIONS[self.activation](), **offset)
            if self.dropout:
                found.append(nn.Dropout(1 - self.dropout, scaled=True))
        return [*found, *nn.Affine(10, SMALL, activation=nn.Softmax(), **offset)]

    def network(self, backend: str | None = None, threads: int | None = None) -> nn.Model:
        """The model, of images as bytes."""
        return nn.Model(
            self.layers(),
            self.model,
            preprocess=nn.unit_range,
            seed=self.seed,
            backend=backend,
            threads=threads,
        )

    def solver(self) -> nn.Optimizer:
        """The optimiser; options that it does not have raise UnsupportedOp."""
        given = {k: getattr(self, k) for k in ("rate", "momentum") if getattr(self, k) is not None}
        if "momentum" in given and self.optimizer not in ("momentum", "nesterov"):
            raise UnsupportedOp(f"the optimizer {self.optimizer} has no momentum")
        rate = given.get("rate", RATES[self.optimizer])
        schedule = schedule_of(self.schedule)
        adaptive = {
            "rmsprop": nn.RMSProp,
            "adagrad": nn.Adagrad,
            "adadelta": nn.Adadelta,
            "adam": nn.Adam,
        }
        if self.optimizer in adaptive:
            return adaptive[self.optimizer](learning_rate=rate, schedule=schedule)
        momentum = 0.0 if self.optimizer == "sgd" else given.get("momentum", 0.9)
        nesterov = self.optimizer == "nesterov"
        return nn.GradientDescentMomentum(rate, momentum, nesterov=nesterov, schedule=schedule)

    def splits(self) -> Splits:
        """The images: those that come with anode, or those in the folder `data`."""
        return load_fashion_mnist(self.data or "") if self.fashion else load_mnist(self.data)

    def minibatches(self, images: ImageSet) -> Batches:
        """Training minibatches, in an order that the seed decides."""
        return Batches((images.images, images.labels), self.batch, seed=self.seed)


def settings_of(meta: Any, source: object, given: Mapping[str, Any]) -> Settings:
    """The settings kept in a checkpoint's JSON value `meta`, but for those `given` anew."""
    try:
        kept = meta["callbacks"]["Keep_0"]
        kept = {field.name: kept[field.name] for field in fields(Settings)}
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{source} is no checkpoint of anode train") from error
    return Settings(**{**kept, **given})


class Keep(nn.Callback):
    """Puts the settings of a run into its checkpoints."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def saved(self) -> dict[str, Any]:
        return asdict(self.settings)


def known(what: str, name: str, names: Iterable[str]) -> None:
    """Raise UnsupportedOp, with the nearest names, unless `name` is one of `names`."""
    names = list(names)
    if name not in names:
        near = get_close_matches(name, names, 3, 0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose {', '.join(names)}"
        raise UnsupportedOp(f"there is no {what} {name!r}; {hint}")


def at_least(option: str, value: int | None, least: int) -> None:
    """Raise UnsupportedOp for a value of an option that is too small; None is not given."""
    if value is not None and value < least:
        raise UnsupportedOp(f"--{option} {value}: give at least {least}")


def check_threads(threads: int | None, backend: str | None) -> None:
    """Raise UnsupportedOp for a number of threads that the backend cannot have."""
    at_least("threads", threads, 1)
    if threads is not None and backend == "reference":
        raise UnsupportedOp("--threads: the reference backend has one thread; leave it out")


def numbers(option: str, text: str, kind: Callable[[str], T]) -> tuple[T, ...]:
    """The positive numbers in `text`, separated by commas."""
    try:
        found = tuple(map(kind, text.split(",")))
    except ValueError:
        found = ()
    if not found or not all(value > 0 for value in found):  # type: ignore[operator]
        raise UnsupportedOp(f"--{option} {text}: give positive numbers such as 300,100")
    return found


def schedule_of(text: str | None) -> AnySchedule:
    """The schedule that `text` names, in the forms of SCHEDULES; None is a constant rate."""
    if text is None:
        return CONSTANT
    kind, *values = text.split(":")
    try:
        if kind == "step":
            epochs, change = values
            return nn.Schedule(tuple(map(int, epochs.split(","))), float(change))
        if kind == "exp":
            (decay,) = values
            return nn.ExpSchedule(float(decay))
        if kind in ("power", "poly"):
            epochs, value = values
            known_kind = nn.PowerSchedule if kind == "power" else nn.PolySchedule
            return known_kind(positive(epochs), float(value))
    except ValueError:
        pass
    raise UnsupportedOp(f"--schedule {text}: write {SCHEDULES}")
