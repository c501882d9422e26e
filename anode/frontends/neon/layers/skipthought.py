"""neon's skip-thought vectors: a sentence's encoding says the sentences before and after it.

Source: Kiros et al., "Skip-Thought Vectors", 2015.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.layers.container import Sequential
from anode.frontends.neon.layers.layer import Affine, LookupTable
from anode.frontends.neon.transforms import Softmax

LAYERS = 12  # three tables, the encoder, two decoders, and two times three layers of Affine


class SkipThought(Sequential):
    """A table and an encoder for a sentence, and each of its two neighbours' table and decoder.

    It takes (sentence, sentence before, sentence after), the latter as the decoders' inputs, and
    gives a list of the probabilities of the words of both. The three tables have the mean of their
    gradients, and so have the two last layers; both begin with the same weights.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int,
        init_embed: Any,
        nhidden: int,
        rec_layer: Any,
        init_rec: Any,
        activ_rec: Any,
        activ_rec_gate: Any,
        init_ff: Any,
        init_const: Any,
        layers: Any = None,
        name: str | None = None,
    ) -> None:
        self.vocab_size, self.embed_dim, self.nhidden = vocab_size, embed_dim, nhidden
        self.init_embed, self.init_ff, self.init_const = init_embed, init_ff, init_const
        self.rec_layer, self.init_rec = rec_layer, init_rec
        self.activ_rec, self.activ_rec_gate = activ_rec, activ_rec_gate
        if layers is None:
            layers = [
                *[self._table() for _ in range(3)],
                *[self._recurrent() for _ in range(3)],
                *[self._words() for _ in range(2)],
            ]
        super().__init__(layers=layers, name=name)
        if len(self.layers) != LAYERS:
            raise ValueError(f"SkipThought has {LAYERS} layers, not {len(self.layers)}")
        self.embed_s, self.embed_p, self.embed_n = self.layers[:3]
        self.encoder, self.decoder_p, self.decoder_n = self.layers[3:6]
        self.affine_p, self.affine_n = self.layers[6:9], self.layers[9:]
        self.layer_dict = {
            "lookupTable": self.embed_s,
            "encoder": self.encoder,
            "decoder_previous": self.decoder_p,
            "decoder_next": self.decoder_n,
            "affine": self.affine_p,
        }

    def _table(self) -> Any:
        return LookupTable(self.vocab_size, self.embed_dim, self.init_embed, pad_idx=0)

    def _recurrent(self) -> Any:
        return self.rec_layer(
            self.nhidden,
            init=self.init_ff,
            init_inner=self.init_rec,
            activation=self.activ_rec,
            gate_activation=self.activ_rec_gate,
            reset_cells=True,
        )

    def _words(self) -> Any:
        return Affine(
            self.vocab_size, init=self.init_ff, bias=self.init_const, activation=Softmax()
        )

    def _rows(self) -> list[list[Any]]:
        """The layers that the sentence, and its two neighbours, go through."""
        return [
            [self.embed_s, self.encoder],
            [self.embed_p, self.decoder_p, *self.affine_p],
            [self.embed_n, self.decoder_n, *self.affine_n],
        ]

    def configure(self, in_obj: Any) -> Any:
        self.prev_layer = None
        self.in_shape = in_obj if isinstance(in_obj, list) else in_obj.shape
        for shape, row in zip(self.in_shape, self._rows(), strict=True):
            row[0].configure(shape)
            for before, layer in pairwise(row):
                layer.configure(before)
                before.set_next(layer)
        self.out_shape = [self.affine_p[-1].out_shape, self.affine_n[-1].out_shape]
        self.parallelism = self.affine_n[-1].parallelism
        return self

    def allocate(
        self, shared_outputs: Tensor | None = None, accumulate_updates: bool = False
    ) -> None:
        super().allocate(shared_outputs, accumulate_updates)
        self.error_ctx: Any = self.be.iobuf((self.nhidden, self.in_shape[0][0]))
        self.affine_p[0].W[:] = self.affine_n[0].W

    def fprop(self, inputs: Any, inference: bool = False, beta: float = 0.0) -> Any:
        source, *others = inputs
        encoded = self.encoder.fprop(self.embed_s.fprop(source, inference), inference)
        context = encoded[:, -self.be.bsz :]
        found = []
        for x, (table, decoder, *rest) in zip(others, self._rows()[1:], strict=True):
            x = table.fprop(x, inference)
            x = decoder.fprop(x, inference=inference, init_state=context)
            for layer in rest:
                x = layer.fprop(x, inference)
            found.append(x)
        return found

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        states = []
        for delta, (table, decoder, *rest) in zip(error, self._rows()[1:], strict=True):
            for layer in reversed(rest):
                delta = layer.bprop(delta)
            delta = decoder.bprop(delta)
            states.append(decoder.get_final_hidden_error())
            table.bprop(delta)
        self.error_ctx.fill(0)
        self.error_ctx[:, -self.be.bsz :] = states[0] + states[1]
        found = self.embed_s.bprop(self.encoder.bprop(self.error_ctx))
        _share([self.embed_s.dW, self.embed_p.dW, self.embed_n.dW])
        for one, other in zip(self.affine_p[:2], self.affine_n[:2], strict=True):
            _share([one.dW, other.dW])
        return found

    def get_terminal(self) -> list[Any]:
        return [self.affine_p[-1].get_terminal(), self.affine_n[-1].get_terminal()]


def _share(gradients: list[Any]) -> None:
    """Let all have the mean of them."""
    total = sum(gradients[1:], gradients[0]) / len(gradients)
    first, *others = gradients
    first[:] = total
    for gradient in others:
        gradient[:] = first


SkipThought.__module__ = "anode.frontends.neon.layers.container"  # files name classes by it
