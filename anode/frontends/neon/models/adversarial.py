"""GAN: the model of a generator and a discriminator that train by turns."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.neon.backends.backend import Block
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.models.model import Model
from anode.frontends.neon.tracing import is_tracing


class GAN(Model):
    """Trains the discriminator on noise and data, and every `k` minibatches the generator.

    `noise_type` is "normal" or "uniform". For Wasserstein's cost `wgan_param_clamp` bounds the
    discriminator's weights, and `wgan_train_sched` trains it alone for long at first (Arjovsky et
    al. 2017).
    """

    def __init__(
        self,
        layers: Any,
        noise_dim: Any,
        noise_type: str = "normal",
        weights_only: bool = False,
        name: str = "model",
        optimizer: Any = None,
        k: int = 1,
        wgan_param_clamp: float | None = None,
        wgan_train_sched: bool = False,
    ) -> None:
        self.noise_dim, self.noise_type, self.k = noise_dim, noise_type, k
        self.wgan_param_clamp, self.wgan_train_sched = wgan_param_clamp, wgan_train_sched
        super().__init__(layers, weights_only=weights_only, name=name, optimizer=optimizer)

    @staticmethod
    def clip_param_in_layers(layer_list: list[Any], abs_bound: float | None = None) -> None:
        """Move all weights into ±abs_bound."""
        from anode.frontends.neon.optimizers.optimizer import get_param_list

        bound = abs(abs_bound or 0.0)
        for (param, _), _ in get_param_list(layer_list) if bound else []:
            param[:] = param.backend.clip(param, -bound, bound)

    def fill_noise(self, z: Tensor, normal: bool = True) -> None:
        """Fill z with normal numbers, or with even ones from −1 to 1."""
        if normal:
            self.be.fill_normal(z)
        else:
            z[:] = 2 * self.be.rand() - 1.0

    def initialize(self, dataset: Any, cost: Any = None) -> None:
        if self.initialized:
            return
        output = self.layers.configure(self.noise_dim)
        if cost is not None:
            cost.initialize(output)
            self.cost = cost
        self.layers.generator.allocate(accumulate_updates=False)
        self.layers.discriminator.allocate(accumulate_updates=True)
        self.layers.allocate_deltas()
        self.initialized = True
        self.zbuf = self.be.iobuf(self.noise_dim)
        self.ybuf = self.be.iobuf((1,))
        self.z0 = self.be.iobuf(self.noise_dim)
        self.fill_noise(self.z0, normal=self.noise_type == "normal")
        self.cost_dis = np.empty((1,), np.float32)
        self.current_batch = self.gen_iter = self.last_gen_batch = 0

    def get_k(self, giter: int) -> int:
        """The minibatches of the discriminator for one of the generator."""
        if self.wgan_train_sched and (giter < 25 or giter % 500 == 0):
            return 100
        return self.k

    def _epoch_fit(self, dataset: Any, callbacks: Any) -> None:
        epoch, first = self.epoch_index, self.gen_iter
        self.total_cost[:] = 0
        for index, (x, _) in enumerate(dataset):
            callbacks.on_minibatch_begin(epoch, index)
            self.be.begin(Block.minibatch, index)
            self._epoch = epoch
            self._train_both(x)
            self.be.end(Block.minibatch, index)
            callbacks.on_minibatch_end(epoch, index)
            self.current_batch += 1
        if self.gen_iter == first:
            raise ValueError(
                "at least one generator iteration is required for total cost estimation"
            )
        self.total_cost[:] = self.total_cost / (self.gen_iter - first)
        self.data_batch, self.noise_batch = x, self.fprop_gen(self.z0)

    def _train_both(self, x: Any) -> None:
        generate = self.current_batch == self.last_gen_batch + self.get_k(self.gen_iter)
        dis = self._step("discriminator", self._train_discriminator)
        cost, y_data = dis(x)
        self.cost_dis[:] = cost.get()[0]
        if generate:
            gen = self._step("generator", self._train_generator)
            self.cost_dis[:] = gen(y_data).get()[0]
            self.total_cost[:] = self.total_cost + self.cost_dis
            self.last_gen_batch = self.current_batch
            self.gen_iter += 1

    def _train_discriminator(self, x: Any) -> Any:
        critic, costfunc = self.layers.discriminator, self.cost.costfunc
        if self.wgan_param_clamp:
            self.clip_param_in_layers(critic.layers_to_optimize, self.wgan_param_clamp)
        self.fill_noise(self.zbuf, normal=self.noise_type == "normal")
        y_noise = self.fprop_dis(self.fprop_gen(self.zbuf))
        self.ybuf[:] = y_noise
        self.bprop_dis(costfunc.bprop_noise(y_noise))
        critic.set_acc_on(True)
        y_data = self.fprop_dis(x)
        self.bprop_dis(costfunc.bprop_data(y_data))
        self.optimizer.optimize(critic.layers_to_optimize, epoch=self._epoch)
        critic.set_acc_on(False)
        return [self.cost.get_cost(y_data, self.ybuf, cost_type="dis"), y_data]

    def _train_generator(self, y_data: Any) -> Any:
        maker = self.layers.generator
        self.fill_noise(self.zbuf, normal=self.noise_type == "normal")
        self.ybuf[:] = y_data
        y_noise = self.fprop_dis(self.fprop_gen(self.zbuf))
        delta = self.bprop_dis(self.cost.costfunc.bprop_generator(y_noise))
        self.bprop_gen(delta)
        self.optimizer.optimize(maker.layers_to_optimize, epoch=self._epoch)
        return self.cost.get_cost(self.ybuf, y_noise, cost_type="dis")

    def fprop_gen(self, x: Any, inference: bool = False) -> Any:
        """What the generator makes of noise."""
        if is_tracing():
            return self.layers.generator.fprop(x, inference)
        forward = self._step("fprop_gen", lambda x, i: self.layers.generator.fprop(x, i))
        return forward(x, inference)

    def fprop_dis(self, x: Any, inference: bool = False) -> Any:
        """What the discriminator says of data."""
        return self.layers.discriminator.fprop(x, inference)

    def bprop_dis(self, delta: Any) -> Any:
        """The error of what the discriminator saw."""
        return self.layers.discriminator.bprop(as_delta(delta, self.be))

    def bprop_gen(self, delta: Any) -> Any:
        """Send an error back through the generator."""
        return self.layers.generator.bprop(delta)


def as_delta(delta: Any, be: Any) -> Any:
    """An error as a tensor: costs of adversaries give op-trees."""
    return delta.astensor() if hasattr(delta, "astensor") else delta
