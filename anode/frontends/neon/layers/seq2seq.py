"""neon's encoders and decoders: a decoder's recurrent layers start where an encoder's ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anode import ops
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.layers.base import Layer
from anode.frontends.neon.layers.container import LayerContainer, Sequential
from anode.frontends.neon.layers.layer import LookupTable
from anode.frontends.neon.layers.recurrence import features_first
from anode.frontends.neon.layers.recurrent import Recurrent
from anode.frontends.neon.tracing import Recording, perform, recorded, recording
from anode.frontends.neon.util.persist import load_class
from anode.ir.node import Node, substitute

__all__ = ["Decoder", "Encoder", "Seq2Seq"]


class Encoder(Sequential):
    """What reads the source; `bprop` takes the errors of the states that a decoder started from."""

    def __init__(self, layers: Any, name: str | None = None) -> None:
        super().__init__(layers, name)
        self._recurrent = [layer for layer in self.layers if isinstance(layer, Recurrent)]
        self.connections: list[list[int]] = []

    def allocate_deltas(self, global_deltas: Any = None) -> None:
        super().allocate_deltas(global_deltas)
        self.error_buf = self.be.iobuf(self.out_shape)

    def set_connections(self, decoder_cons: list[int | None]) -> None:
        """Note which of the decoder's recurrent layers start from each of the encoder's."""
        self.connections = [
            [i for i, source in enumerate(decoder_cons) if source == place]
            for place in range(len(self._recurrent))
        ]

    def get_final_states(self, decoder_cons: list[int | None]) -> list[Tensor | None]:
        """The states that the decoder's recurrent layers start from."""
        return [None if i is None else self._recurrent[i].final_state() for i in decoder_cons]

    def bprop(self, hidden_error_list: list[Tensor], alpha: float = 1.0, beta: float = 0.0) -> Any:
        error: Any = self.error_buf
        error.fill(0)
        place = len(self._recurrent)
        for layer in reversed(self._layers):
            if isinstance(layer, Recurrent):
                place -= 1
                last = error[:, -self.be.bsz :]
                for i in self.connections[place]:
                    last[:] = last + hidden_error_list[i]
            error = layer.bprop(error)
        return self._layers[0].deltas


class Decoder(Sequential):
    """What says the target, step by step in inference, from `start_index` or from nothing."""

    def __init__(
        self, layers: Any, name: str | None = None, start_index: int | None = None
    ) -> None:
        super().__init__(layers, name)
        self._recurrent = [layer for layer in self.layers if isinstance(layer, Recurrent)]
        self.connections: list[int | None] = []
        self.full_steps: int | None = None
        self.start_index = start_index

    @property
    def has_table(self) -> bool:
        return isinstance(self.layers[0], LookupTable)

    def fprop(  # type: ignore[override]
        self, x: Any, inference: bool = False, init_state_list: list[Any] | None = None
    ) -> Any:
        states = [None] * len(self._recurrent) if init_state_list is None else init_state_list
        if len(self._recurrent) > len(states):
            raise ValueError(
                f"found {len(self._recurrent)} Recurrent layers, but init_state_list is only "
                f"length {len(states)}"
            )
        left = iter(states)
        for layer in self.layers:
            if isinstance(layer, Recurrent):
                x = layer.fprop(x, inference=inference, init_state=next(left))
            else:
                x = layer.fprop(x, inference=inference)
        return x

    def set_connections(self, decoder_cons: list[int | None]) -> None:
        """Note which of the encoder's recurrent layers each starts from."""
        self.connections = decoder_cons

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> list[Tensor]:
        """The errors of the recurrent layers' first states."""
        found = []
        for layer in reversed(self.layers):
            error = layer.bprop(error)
            if isinstance(layer, Recurrent):
                found.append(layer.get_final_hidden_error())
        return found[::-1]

    def switch_mode(self, inference: bool) -> None:
        """Take one step at a time, or in training all of them; tensors are made anew for it."""
        now = self.in_shape[0] if self.has_table else self.in_shape[1]
        wanted = 1 if inference else self.full_steps
        if now == wanted:
            return
        if self.has_table:
            self.layers[0].inputs = self.layers[0].outputs_t = None
        before = [layer.prev_layer for layer in self.layers]
        self.configure((wanted, 1) if self.has_table else (self.out_shape[0], wanted))
        for layer, previous in zip(self.layers, before, strict=True):
            layer.prev_layer = previous
            if layer.owns_output:
                layer.outputs = None
        self.allocate()


class Seq2Seq(LayerContainer):
    """An encoder and a decoder, as containers or lists of layers.

    Training takes (source, previous targets); inference the source alone, and each output is the
    next input, or its likeliest token where the layers begin with a LookupTable.
    `decoder_connections` says for each recurrent layer of the decoder from which of the encoder's
    it starts, None for zeros; by default from the one in the same place.
    """

    def __init__(
        self,
        layers: Any,
        decoder_connections: list[int | None] | None = None,
        name: str | None = None,
    ) -> None:
        if len(layers) != 2:
            raise AssertionError("Seq2Seq layers argument must be length 2 list")
        super().__init__(name)
        self.encoder: Encoder = _container(layers[0], Encoder)
        self.decoder: Decoder = _container(layers[1], Decoder)
        self.layers = self.encoder.layers + self.decoder.layers
        self.hasLUT = isinstance(self.encoder.layers[0], LookupTable)
        count = len(self.encoder._recurrent)
        if not decoder_connections and count != len(self.decoder._recurrent):
            raise AssertionError(
                f"Seq2Seq: {count} recurrent layers in the encoder, "
                f"{len(self.decoder._recurrent)} in the decoder; give decoder_connections"
            )
        self.decoder_connections = decoder_connections or list(range(count))
        self.encoder.set_connections(self.decoder_connections)
        self.decoder.set_connections(self.decoder_connections)

    @classmethod
    def gen_class(cls, pdict: dict[str, Any]) -> Any:
        made = [load_class(d["type"]).gen_class(d["config"]) for d in pdict["layers"]]
        count = pdict["num_encoder_layers"]
        rest = {k: v for k, v in pdict.items() if k not in ("layers", "num_encoder_layers")}
        return cls(layers=[made[:count], made[count:]], **rest)

    def get_description(
        self, get_weights: bool = False, keep_states: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        found = super().get_description(get_weights=get_weights, keep_states=keep_states)
        found["config"]["num_encoder_layers"] = len(self.encoder.layers)
        found["config"]["decoder_connections"] = self.decoder_connections
        self._desc = found
        return found

    def configure(self, in_obj: Any) -> Any:
        shapes = (in_obj[:2], in_obj[2:]) if isinstance(in_obj, tuple) else None
        source, target = shapes or (in_obj.shape, in_obj.decoder_shape)
        self.encoder.configure(source)
        self.decoder.configure(target)
        self.parallelism, self.out_shape = self.decoder.parallelism, self.decoder.out_shape
        last = self.decoder.layers[-1]
        self.in_shape = last.in_shape if self.hasLUT else self.decoder.in_shape
        self.decoder.full_steps = self.in_shape[1]
        return self

    def allocate(
        self, shared_outputs: Tensor | None = None, accumulate_updates: bool = False
    ) -> None:
        self.accumulate_updates = accumulate_updates
        self.decoder.allocate(shared_outputs, accumulate_updates)
        owns = any(layer.owns_output for layer in self.decoder.layers)
        self.encoder.allocate(None if owns else shared_outputs, accumulate_updates)
        self.xbuf = self.be.iobuf(self.out_shape)

    def allocate_deltas(self, global_deltas: Any = None) -> None:
        self.encoder.allocate_deltas(global_deltas)
        self.decoder.allocate_deltas(global_deltas)

    def fprop(self, inputs: Any, inference: bool = False, beta: float = 0.0) -> Any:
        self.decoder.switch_mode(inference)
        source, target = (inputs, None) if inference else inputs
        self.encoder.fprop(source, inference=inference)
        states = self.encoder.get_final_states(self.decoder_connections)
        if not inference:
            return self.decoder.fprop(target, init_state_list=states)
        self._say(states)
        return self.xbuf

    def _say(self, states: list[Tensor | None]) -> None:
        """Let the decoder go on from its own outputs, in one loop."""
        token = self.be.iobuf(1 if self.hasLUT else (self.out_shape[0], 1))
        own = [self.be.zeros_like(layer.final_state()) for layer in self.decoder._recurrent]
        for mine, given in zip(own, states, strict=True):
            if given is not None:
                mine[:] = given

        def step() -> Tensor:
            said = self.decoder.fprop(token, inference=True, init_state_list=own)
            for mine, layer in zip(own, self.decoder._recurrent, strict=True):
                mine[:] = layer.final_state()
            token[:] = self.be.argmax(said, axis=0) if self.hasLUT else said
            return said

        def loop() -> None:
            said = repeated(step, self.in_shape[1])
            self.xbuf.write(features_first(ops.transpose(said, permutation=(0, 2, 1))))

        perform(loop, self.be.programs)

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        self.encoder.bprop(self.decoder.bprop(error))
        return self.encoder.layers[0].deltas


def repeated(action: Callable[[], Tensor], count: int) -> Node:
    """Run an action on Tensors so many times, as one loop, while tracing; gives all its values."""
    outer, inner = recording(), Recording()
    inner.born = outer.born
    with recorded(inner):
        value = action().node()
    outer.hosts += inner.hosts
    cells = list(inner.written)
    results = [*inner.written.values(), value]

    def step(carry: tuple[Node, ...], _: None) -> tuple[tuple[Node, ...], Node]:
        now = dict(zip(cells, carry, strict=True))
        given = {
            leaf: now[cell] if cell in now else outer.read(cell)
            for cell, leaf in inner.leaves.items()
        }
        new = substitute(results, given)
        found = [new[node] for node in results]
        return tuple(found[:-1]), found[-1]

    last, values = ops.scan(step, tuple([outer.read(cell) for cell in cells]), length=count)
    for cell, node in zip(cells, last, strict=True):
        outer.write(cell, node)
    return values


def _container(layers: Any, kind: type[Any]) -> Any:
    if isinstance(layers, kind):
        return layers
    if isinstance(layers, (list, Layer)):
        return kind(layers if isinstance(layers, list) else [layers])
    raise ValueError("Incompatible element for Seq2Seq container")


for _name in __all__:
    globals()[
        _name
    ].__module__ = "anode.frontends.neon.layers.container"  # files name classes by it
