"""Model: a network, its training, its evaluation and its files."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np

from anode.frontends.neon import NervanaObject, __version__, logger
from anode.frontends.neon.backends.backend import Block
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.layers.container import DeltasTree, LayerContainer, Sequential
from anode.frontends.neon.numbers import Numbers
from anode.frontends.neon.stepping import Step, parts_of
from anode.frontends.neon.tracing import is_tracing
from anode.frontends.neon.util.modeldesc import ModelDescription
from anode.frontends.neon.util.persist import load_class, load_obj, save_obj


class Model(NervanaObject):
    """A network: a container, a list of layers, the description of one, or a file of it.

    `fit` records a minibatch's work once, as a graph, and repeats it. `weights_only` leaves out
    what optimisers remember when the network comes from a file.
    """

    def __init__(
        self,
        layers: Any,
        dataset: Any = None,
        weights_only: bool = False,
        name: str = "model",
        optimizer: Any = None,
    ) -> None:
        super().__init__(name)
        self.optimizer = optimizer
        self.params = self.states = None
        self.epoch_index = self._epoch = 0
        self.finished = self.initialized = False
        self.cost: Any = None
        self.nbatches = self.ndata = 0
        self._steps: dict[str, Step] = {}
        if dataset is not None:
            logger.warning("dataset is a deprecated argument and will be ignored")
        if isinstance(layers, dict):
            self.deserialize(layers, load_states=not weights_only)
        elif isinstance(layers, (str, bytes)):
            self.load_params(layers, load_states=not weights_only)
        else:
            self.layers: Any = Sequential(layers) if isinstance(layers, list) else layers
            if hasattr(layers, "layer_dict"):
                self.layer_dict = layers.layer_dict
        self.layers.propagate_parallelism("Data")

    @property
    def layers_to_optimize(self) -> list[Any]:
        """The layers with weights."""
        return self.layers.layers_to_optimize

    def set_shortcut(self) -> None:
        """Let a last Logistic pass errors through, where the cost is CrossEntropyBinary."""
        from anode.frontends.neon.transforms import CrossEntropyBinary, Logistic

        last = getattr(self.layers.layers[-1], "transform", None)
        costfunc = getattr(self.cost, "costfunc", None)
        if type(costfunc) is CrossEntropyBinary and type(last) is Logistic:
            last.set_shortcut(True)

    def initialize(self, dataset: Any, cost: Any = None) -> None:
        """Tell the layers the shapes of the data, and make their tensors; once."""
        if self.initialized:
            return
        output = self.layers.configure(dataset)
        if cost is not None:
            cost.initialize(output)
            self.cost = cost
        self.layers.allocate()
        self.layers.allocate_deltas()
        self.initialized = True

    def allocate_deltas(self) -> None:
        """Make the tensors of errors."""
        if getattr(self, "global_deltas", None) is None:
            self.global_deltas = DeltasTree()
            self.layers.allocate_deltas(self.global_deltas)
            self.global_deltas.allocate_buffers()
        self.layers.set_deltas(self.global_deltas)

    def __str__(self) -> str:
        return "Network Layers:\n" + self.layers.nested_str()

    # Training.

    def fit(self, dataset: Any, cost: Any, optimizer: Any, num_epochs: int, callbacks: Any) -> None:
        """Train for epochs of minibatches (x, t) of the data, until `num_epochs` are done in all.

        A callback may set `finished`.
        """
        self.nbatches, self.ndata = dataset.nbatches, dataset.ndata
        self.total_cost = np.zeros((1, 1), np.float32)
        self.optimizer = optimizer
        self.initialize(dataset, cost)
        callbacks.on_train_begin(num_epochs)
        while self.epoch_index < num_epochs and not self.finished:
            self.nbatches = dataset.nbatches
            callbacks.on_epoch_begin(self.epoch_index)
            self._epoch_fit(dataset, callbacks)
            callbacks.on_epoch_end(self.epoch_index)
            self.epoch_index += 1
        callbacks.on_train_end()

    def _epoch_fit(self, dataset: Any, callbacks: Any) -> None:
        epoch = self.epoch_index
        self.total_cost[:] = 0
        for index, (x, t) in enumerate(dataset):
            callbacks.on_minibatch_begin(epoch, index)
            self.be.begin(Block.minibatch, index)
            cost = self._train(x, t, epoch)
            self.total_cost[:] = self.total_cost + value_of(cost)
            self.be.end(Block.minibatch, index)
            callbacks.on_minibatch_end(epoch, index)
        self.total_cost[:] = self.total_cost / dataset.nbatches

    def _train(self, x: Any, t: Any, epoch: int) -> Any:
        """Train on a minibatch; gives its cost."""
        self._epoch = epoch
        return self._step("train", self._train_recorded)(x, t)

    def _train_recorded(self, x: Any, t: Any) -> Any:
        y = self.fprop(x)
        cost = self.cost.get_cost(y, t)
        self.bprop(self.cost.get_errors(y, t))
        self.optimizer.optimize(self.layers_to_optimize, epoch=self._epoch)
        return as_tensor(cost, self.be)

    def _step(self, name: str, function: Any) -> Step:
        """The step of this name; its parts are the network, the cost and the optimiser."""
        if name not in self._steps:
            self._steps[name] = Step(
                function,
                self.be.programs,
                lambda: [self, *parts_of([self.layers, self.cost, self.optimizer])],
            )
        return self._steps[name]

    def fprop(self, x: Any, inference: bool = False) -> Any:
        """The network's output for a minibatch."""
        if is_tracing():
            return self.layers.fprop(x, inference)

        def forward(x: Any, inference: bool) -> Any:
            return self.layers.fprop(x, inference)

        return self._step("fprop", forward)(x, inference)

    def bprop(self, delta: Any) -> Any:
        """Send the error of the output back; gives that of the input."""
        if is_tracing():
            return self.layers.bprop(delta)
        return self._step("bprop", lambda delta: self.layers.bprop(delta))(delta)

    # Evaluation.

    def eval(self, dataset: Any, metric: Any) -> np.ndarray:
        """The means of a metric over the data; rows that wrap round do not count."""
        self.initialize(dataset)
        total = np.zeros(len(metric.metric_names), np.float32)
        done = 0
        dataset.reset()
        rows = dataset.ndata * getattr(dataset, "seq_length", 1)
        for x, t in dataset:
            y = self.fprop(x, inference=True)
            steps = (y[0] if isinstance(y, list) else y).shape[1] // self.be.bsz
            batch = min(rows - done, self.be.bsz)
            total += metric(y, t, calcrange=slice(0, steps * batch)) * steps * batch
            done += batch * steps
        return Numbers.of(total / np.float32(done))

    def get_outputs(self, dataset: Any) -> np.ndarray:
        """The outputs for all of the data: (rows, features), or (rows, steps, features)."""
        return self._outputs(dataset, lambda x: self.fprop(x, inference=True))

    def get_outputs_beam(
        self, dataset: Any, num_beams: int = 0, steps: int | None = None
    ) -> np.ndarray:
        """The outputs of a Seq2Seq, searched for with beams: the tokens (rows, steps, 1)."""
        if num_beams <= 0:
            return self.get_outputs(dataset)
        BeamSearch = import_module("anode.frontends.neon.util.beamsearch").BeamSearch

        search = BeamSearch(self.layers)
        return self._outputs(
            dataset, lambda x: search.beamsearch(x, num_beams, steps=steps), beams=True
        )

    def _outputs(self, dataset: Any, output: Any, beams: bool = False) -> np.ndarray:
        self.initialize(dataset)
        dataset.reset()
        if isinstance(self.layers.layers[-1].outputs, list):
            raise ValueError("Can not get_outputs with Branch terminal")
        parts, batch = [], self.be.bsz
        for x, *_ in dataset:
            y = output(x).get()
            if beams and y.shape[0] == getattr(dataset, "seq_length", None):
                parts.append(y.T.reshape(batch, y.shape[0], -1))
            elif y.shape[1] == batch:
                parts.append(y.T)
            else:
                parts.append(y.T.reshape(-1, batch, y.shape[0]).transpose(1, 0, 2))
        return np.ascontiguousarray(np.concatenate(parts)[: dataset.ndata])

    # Files.

    def get_description(
        self, get_weights: bool = False, keep_states: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        """What the network is made of, and its weights where asked for."""
        found: dict[str, Any] = {
            "neon_version": __version__,
            "backend": {
                "type": type(self.be).__name__,
                "compat_mode": self.be.compat_mode or "neon",
                "rng_seed": self.be.rng_seed,
                "rng_state": self.be.rng_get_state(),
            },
        }
        for name in ("cost", "optimizer"):
            if getattr(self, name):
                found[name] = getattr(self, name).get_description()
        found["model"] = self.layers.get_description(
            get_weights=get_weights, keep_states=keep_states
        )
        return found

    def save_params(self, param_path: str, keep_states: bool = True) -> None:
        """Write the network to a file."""
        self.serialize(keep_states=keep_states, fn=param_path)

    def load_params(self, param_path: Any, load_states: bool = True) -> None:
        """Take the weights of a file, and what optimisers remember."""
        self.deserialize(load_obj(param_path), load_states=load_states)
        logger.info("Model weights loaded from %s", param_path)

    def load_weights(self, weight_path: str) -> None:
        """`load_params`, as it was once called."""
        logger.warning("Calling deprecated load_weights function.  Use load_params instead")
        self.load_params(weight_path)

    def deserialize(
        self, model_dict: dict[str, Any], data: Any = None, load_states: bool = True
    ) -> None:
        """Take the weights of a description, whose layers are made where there are none."""
        self.epoch_index = model_dict.get("epoch_index", self.epoch_index)
        if "model" not in model_dict:
            self._load_old(model_dict["layer_params_states"], load_states)
            return
        backend = model_dict.setdefault("backend", {})
        self.be.compat_mode = backend.get("compat_mode", self.be.compat_mode)
        if not hasattr(self, "layers"):
            kind = load_class(model_dict["model"]["type"])
            self.layers = kind.gen_class(model_dict["model"]["config"])
        self.layers.load_weights(model_dict["model"], load_states)
        if load_states and "rng_state" in backend:
            try:
                self.be.rng_set_state(backend["rng_state"])
            except ValueError as error:
                logger.warning("Problems restoring existing RNG state: %s", error)

    def _load_old(self, descriptions: Iterable[dict[str, Any]], load_states: bool) -> None:
        """Take the weights of a file of neon 1.x, a list of layers' parameters."""
        for layer, found in zip(self.layers_to_optimize, descriptions, strict=False):
            layer.set_params(found)
            if "states" in found and load_states:
                layer.set_states(found)

    def serialize(self, fn: str | None = None, keep_states: bool = True) -> Any:
        """The description with the weights, or None where it is written to the file `fn`."""
        found = self.get_description(get_weights=True, keep_states=keep_states)
        found["epoch_index"] = self.epoch_index + 1
        if self.initialized:
            parts = [self.layers]
            if hasattr(self.layers, "decoder"):
                parts = [self.layers.encoder, self.layers.decoder]
            shapes = [part.in_shape for part in parts]
            found["train_input_shape"] = shapes[0] if len(shapes) == 1 else shapes[0] + shapes[1]
        if fn is None:
            return found
        save_obj(found, fn)
        return None

    def set_batch_size(self, N: int) -> None:
        """Let only the first N of each minibatch count, where layers know of it."""
        self.layers.set_batch_size(N)

    def set_seq_len(self, S: int) -> None:
        """Let only the first S steps of sequences count, where layers know of it."""
        self.layers.set_seq_len(S)

    def benchmark(
        self,
        dataset: Any,
        inference: bool = False,
        cost: Any = None,
        optimizer: Any = None,
        niterations: int = 20,
        nskip: int = 2,
    ) -> dict[str, dict[str, float]]:
        """Milliseconds of fprop, bprop and both over minibatches, after `nskip` of them; displayed.

        The forward part is timed on its own; the step that trains runs as one, so "bprop" is what
        it takes beyond that.
        """
        from anode.frontends.neon.benchmark.times import benchmark

        if not inference and (cost is None or optimizer is None):
            raise RuntimeError("Need cost and optimizer to benchmark bprop")
        self.cost, self.optimizer = cost, optimizer
        self.initialize(dataset, cost)
        return benchmark(self, dataset, inference, niterations, nskip)


def value_of(cost: Any) -> Any:
    """A cost as an array."""
    return cost.get() if isinstance(cost, Tensor) else cost


def as_tensor(cost: Any, be: Any) -> Any:
    """A cost as a tensor, if it is one or an op-tree."""
    return cost.astensor() if hasattr(cost, "astensor") else cost


from anode.frontends.neon.models.adversarial import GAN  # noqa: E402 (it is a Model)

GAN.__module__ = __name__  # files name classes by it
__all__ = ["GAN", "LayerContainer", "Model", "ModelDescription"]
