"""Generative adversarial networks: a generator of images, and a network that judges them.

Sources: Goodfellow et al. 2014; Arjovsky et al. 2017 (Wasserstein); Gulrajani et al. 2017 (the
gradient penalty).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from anode import ops
from anode.backends.base import Backend
from anode.frontends.layers.containers import Sequential
from anode.frontends.layers.costs import GANCost
from anode.frontends.layers.layers import apply
from anode.frontends.layers.optimizers import Optimizer, rate_variable
from anode.frontends.layers.scope import Scope
from anode.frontends.layers.selection import Selectable
from anode.frontends.layers.structure import Types
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import Node, read
from anode.ir.types import TensorType, tensor
from anode.ir.variable import Variable
from anode.ops.taps import Watch
from anode.runtime.executable import Executable, chosen_backend, compile
from anode.runtime.state import State
from anode.transform.grad import gradients

GENERATOR, DISCRIMINATOR = "generator", "discriminator"


class GAN(Selectable):
    """A generator and a discriminator, both lists of layers, that train against each other.

    The generator makes images of `noise` normal numbers; the discriminator gives one number for
    each image, a logit or, with `func` "wasserstein", a score. `func` is neon's: "modified" makes
    the generator raise log D(fake), "original" lower log(1 − D(fake)). `penalty` times
    (‖∇ D‖ − 1)², between real and generated images, is added to the discriminator's cost: its
    training takes second derivatives. `preprocess` is of the real images, as for `Model`.

    Both networks can be selected from: `gan.select("#discriminator convolution")`. Taps report
    after each step of either, the discriminator's in its own step of generated images, then of
    real ones.
    """

    def __init__(
        self,
        generator: Iterable[Any],
        discriminator: Iterable[Any],
        noise: int,
        func: str = "modified",
        penalty: float = 0.0,
        *,
        preprocess: Callable[[Node], Node] | None = None,
        seed: int = 0,
        backend: str | Backend | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        self.cost = GANCost(func)
        self.generator = Sequential(generator, GENERATOR)
        self.discriminator = Sequential(discriminator, DISCRIMINATOR)
        self.noise, self.penalty = noise, float(penalty)
        self.preprocess, self.seed = preprocess, seed
        self.backend, self.threads = chosen_backend(backend), threads
        self.state = State()
        self._executables: dict[Any, Executable] = {}

    def generate(self, noise: np.ndarray) -> np.ndarray:
        """The images of noise f32[n, noise]."""
        key = GENERATOR, noise.shape
        if key not in self._executables:
            (z,) = fresh_inputs(tensor("f32", *noise.shape))
            scope = Scope(training=False)
            images = apply(self.generator, z, scope, GENERATOR)
            scope.fill(self.state, self.seed)
            self._executables[key] = self._compile(close((z,), [images], names=("z", "images")))
        return self._executables[key](noise, state=self.state)[0]

    def example(
        self, x: Types | None = None, inits: Mapping[str, Any] | None = None
    ) -> tuple[Scope, list[Node]]:
        scope = Scope(training=True)
        scope.inits = inits or {}
        scores = self._scores(self._generated(1, scope), scope)
        scope.fill(self.state, self.seed)
        return scope, [scores]

    def discriminator_step(self, optimizer: Optimizer) -> Callable[[np.ndarray], float]:
        """`step(images)` trains the discriminator on real images and as many generated ones."""
        return _Step(self, DISCRIMINATOR, optimizer, self._judging)

    def generator_step(self, optimizer: Optimizer) -> Callable[[np.ndarray], float]:
        """`step(images)` trains the generator on as many images as are given; gives the cost."""
        return _Step(self, GENERATOR, optimizer, self._fooling)

    def _judging(self, real: Node, scope: Scope) -> tuple[Node, list[Node]]:
        """The discriminator's cost, and the scores that it is made of."""
        fake = self._generated(int(real.shape[0]), scope)
        if self.preprocess is not None:
            real = self.preprocess(real)
        real = ops.reshape(real, shape=fake.shape)
        wrong, right = self._scores(fake, scope), self._scores(real, scope)
        cost = self.cost.judging(right, wrong)
        if self.penalty:
            cost = cost + self._slope(real, fake, scope) * self.penalty
        return cost, [wrong, right]

    def _fooling(self, real: Node, scope: Scope) -> tuple[Node, list[Node]]:
        """The generator's cost, and the scores that it is made of."""
        scores = self._scores(self._generated(int(real.shape[0]), scope), scope)
        return self.cost.fooling(scores), [scores]

    def _slope(self, real: Node, fake: Node, scope: Scope) -> Node:
        """The mean of (‖∇ D‖ − 1)² at random places between real and generated images."""
        key, stream = scope.draw()
        rows, *others = real.shape
        share = ops.uniform(key, stream=stream, shape=(rows, *(1 for _ in others)))
        between = fake + ops.broadcast_to(share, real.shape) * (real - fake)
        (slope,) = gradients([ops.sum(self._scores(between, scope))], [between])
        squares = ops.sum(ops.square(slope), axis=tuple(range(1, len(real.shape))))
        return ops.mean(ops.square(ops.sqrt(squares + 1e-12) - 1.0))

    def _generated(self, rows: int, scope: Scope) -> Node:
        key, stream = scope.draw()
        z = ops.normal(key, stream=stream, shape=(rows, self.noise))
        return apply(self.generator, z, scope, GENERATOR)

    def _scores(self, images: Node, scope: Scope) -> Node:
        return apply(self.discriminator, images, scope, DISCRIMINATOR)

    def _compile(self, graph: Graph, taps: Watch | None = None) -> Executable:
        watched = taps if taps is not None and taps.nodes else ()
        return compile(graph, self.backend, self.threads, taps=watched)


class _Step:
    """A step of one of the two networks, compiled for each shape of minibatch."""

    def __init__(
        self,
        gan: GAN,
        name: str,
        optimizer: Optimizer,
        cost: Callable[[Node, Scope], tuple[Node, list[Node]]],
    ) -> None:
        self.gan, self.name, self.optimizer, self.cost = gan, name, optimizer, cost
        self.executables: dict[Any, Executable] = {}
        self._version = gan.version

    def __call__(self, images: np.ndarray) -> float:
        if self._version is not self.gan.version:
            self.executables.clear()
            self._version = self.gan.version
        key = images.shape, images.dtype
        if key not in self.executables:
            self.executables[key] = self._compiled(tensor(images.dtype, *images.shape))
        return float(self.executables[key](images, state=self.gan.state)[0])

    def _compiled(self, images: TensorType) -> Executable:
        (x,) = fresh_inputs(images)
        scope, group = Scope(training=True), f"{self.name}."
        cost, scores = self.cost(x, scope)
        gan = self.gan
        scope.fill(gan.state, gan.seed)
        variables = scope.variables.values()
        mine = [v for v in variables if gan.trains(v) and v.name.startswith(group)]
        found = gradients([cost], [read(v) for v in mine])
        kept = {v: node for v, node in scope.updates.items() if self._is_updated(v)}
        updates = kept | gan.updates(self.optimizer, mine, found, group)
        seen = gan.watch(scope, scores)
        seen += gan.watch(scope, scores, dict(zip(mine, found, strict=True)))
        names = ("images", "cost", *seen.names)
        graph = close((x,), [cost, *seen.nodes], updates.items(), names=names)
        self._add_slots(graph.variables, group)
        return gan._compile(graph, seen)

    def _is_updated(self, variable: Variable) -> bool:
        """Whether a variable that training updates belongs to this network, or to both."""
        other = GENERATOR if self.name == DISCRIMINATOR else DISCRIMINATOR
        return not variable.name.startswith(f"{other}.")

    def _add_slots(self, variables: Sequence[Variable], group: str) -> None:
        state = self.gan.state
        state.add([v for v in variables if v not in state], self.gan.seed)
        if rate_variable(group) in state:
            state[rate_variable(group)] = self.optimizer.rate(0)
