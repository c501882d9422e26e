"""The terms of Winograd's products in memory: f32 one by one, bf16 in words of two neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from anode.backends.cpu.llvm_ir import (
    I32,
    Values,
    add_pairs,
    load_scalar,
    load_vector,
    multiply_add,
    nearest_bf16,
    round_pairs,
    shuffle,
    splat,
    store_vector,
)
from anode.ir.dtypes import DType, bf16, f32, u32


@dataclass(frozen=True)
class Terms:
    """Terms of type `dtype`, f32 or bf16: what is stored rounded, and multiplied word by word."""

    dtype: DType

    @property
    def per_word(self) -> int:
        return 2 if self.dtype is bf16 else 1

    @property
    def word(self) -> DType:
        return u32 if self.dtype is bf16 else f32

    def words(self, count: int) -> int:
        """The words of so many terms; the last may have one only."""
        return -(-count // self.per_word)

    def store(self, b: ir.IRBuilder, value: ir.Value, place: ir.Value) -> None:
        """A vector of f32 as neighbouring terms."""
        if self.dtype is bf16:
            value = nearest_bf16(b, value)
        store_vector(b, value, place, self.dtype)

    def store_words(self, b: ir.IRBuilder, values: Values, place: ir.Value) -> None:
        """Vectors of f32, as many as terms in a word, as a vector of words."""
        if self.dtype is bf16:
            halves, lanes = round_pairs(b, *values), values[0].type.count
            order = [i for lane in range(lanes) for i in (lane, lane + lanes)]
            halves = shuffle(b, halves, halves, order)
            values = [b.bitcast(halves, ir.VectorType(I32, lanes))]
        store_vector(b, values[0], place, self.word)

    def of_words(self, b: ir.IRBuilder, words: ir.Value) -> Values:
        """Each term of a vector of words, as a vector of f32."""
        if self.dtype is f32:
            return [words]
        floats = ir.VectorType(ir.FloatType(), words.type.count)
        low = b.shl(words, splat(b, I32(16), words.type.count))
        high = b.and_(words, splat(b, I32(0xFFFF0000), words.type.count))
        return [b.bitcast(low, floats), b.bitcast(high, floats)]

    def load_words(self, b: ir.IRBuilder, place: ir.Value, lanes: int) -> ir.Value:
        return load_vector(b, place, lanes, self.word, self.word)

    def load_word(self, b: ir.IRBuilder, place: ir.Value, lanes: int) -> ir.Value:
        """One word in every lane."""
        return splat(b, load_scalar(b, place, self.word, self.word), lanes)

    def multiply_add(self, b: ir.IRBuilder, x: ir.Value, y: ir.Value, total: ir.Value) -> ir.Value:
        """The products of the terms of words, added up in f32."""
        return (add_pairs if self.dtype is bf16 else multiply_add)(b, x, y, total)
