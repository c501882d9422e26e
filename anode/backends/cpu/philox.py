"""Philox4x32-10 on lanes: counter-based random bits, the same for any width and number of threads.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anode.backends.cpu.element import Element, Elements
from anode.backends.cpu.lanes import Lane, Lanes, llvm_type
from anode.backends.cpu.llvm_ir import shuffle
from anode.backends.cpu.position import Indexing, Position
from anode.ir.dtypes import DType, u32, u64

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_WORDS = 4  # of 32 bits, in a block


def random_words(
    index: Indexing, flat: Position, key: Sequence[Element], stream: int, dtype: DType
) -> Element:
    """Random bits for the element(s) at row-major position `flat` of a drawing op's result.

    `key` are the words (seed low, seed high, step low, step high) and, of a long key, the number
    (low, high) of the first block.
    """
    width, contiguous = index.width, flat.step == 1 and index.width % (2 * _WORDS) == 0
    of = Elements(index.levels, width)
    if contiguous and dtype.bits <= 32:
        if flat.each == width and index.divides(_WORDS * width, flat):
            words = _of_four_vectors(index, flat, key, stream)
            return of.apply(lambda lanes, word: lanes.convert(word, dtype), words)
        if index.divides(_WORDS, index.plain(flat)):
            words = _of_one_vector(index, flat, key, stream)
            return of.apply(lambda lanes, word: lanes.convert(word, dtype), words)
    if dtype.bits <= 32:
        word = _word(of, index.number(flat), key, stream)
        return of.apply(lambda lanes, word: lanes.convert(word, dtype), word)
    first = index.number(index.scale(flat, 2))
    low, high = (_word(of, first, key, stream, part) for part in (0, 1))
    return of.apply(_joined, low, high)


def _joined(lanes: Lanes, low: Lane, high: Lane) -> Lane:
    return lanes.or_(lanes.convert(low, u64), lanes.shl(lanes.convert(high, u64), 32))


def _word(
    of: Elements, number: Element, key: Sequence[Element], stream: int, part: int = 0
) -> Element:
    """Word `number + part` of a stream; `number` is even if there is a part."""
    block = of.apply(lambda lanes, i: lanes.convert(lanes.lshr(i, 2), u32), number)
    words = _block(of, block, key, stream)

    def bit(mask: int) -> Element:
        return of.apply(
            lambda lanes, i: lanes.ne(
                lanes.and_(i, lanes.const(mask, i.dtype)), lanes.const(0, i.dtype)
            ),
            number,
        )

    def pick(condition: Element, x: Element, y: Element) -> Element:
        return of.apply(lambda lanes, c, x, y: lanes.select(c, x, y), condition, x, y)

    upper, odd = bit(2), bit(1)
    if part:
        return pick(upper, words[3], words[1])
    return pick(upper, pick(odd, words[3], words[2]), pick(odd, words[1], words[0]))


def _of_four_vectors(
    index: Indexing, flat: Position, key: Sequence[Element], stream: int
) -> Element:
    """The words of the present copy; as many blocks as lanes give four vectors side by side."""
    width, of = index.width, Elements(index.levels, index.width)
    known = ("philox", flat.key, stream, tuple([id(word.lane.value) for word in key]))
    words: list[Element] | None = index.levels.recall(known)
    if words is None:
        words = _block(of, index.blocks(replace(flat, each=0), _WORDS, width), key, stream)
        level = index.levels.level(*[word.level for word in words])
        index.levels.remember(known, words, level)
    return _mixed(of, words, index.copy % _WORDS * (width // _WORDS), width // _WORDS)


def _of_one_vector(index: Indexing, flat: Position, key: Sequence[Element], stream: int) -> Element:
    """The words of contiguous lanes from the start of a block on."""
    quarter = index.width // _WORDS
    of = Elements(index.levels, quarter)
    return _mixed(of, _block(of, index.blocks(flat, _WORDS, quarter), key, stream), 0, quarter)


def _mixed(of: Elements, words: Sequence[Element], first: int, count: int) -> Element:
    """The words of `count` blocks from lane `first` on, block after block."""
    lanes, b = range(first, first + count), of.levels.b
    pairs = [lane + part * of.width for lane in lanes for part in (0, 1)]
    order = [
        2 * block + half + part
        for block in range(count)
        for half in (0, 2 * count)
        for part in (0, 1)
    ]

    def mixed(_: Lanes, *words: Lane) -> Lane:
        low, high = (shuffle(b, x.value, y.value, pairs) for x, y in (words[:2], words[2:]))
        return Lane(shuffle(b, low, high, order), u32)

    return of.apply(mixed, *words)


def _block(of: Elements, block: Element, key: Sequence[Element], stream: int) -> list[Element]:
    """The four words of a block: ten rounds of the bijection."""
    counter = [*_numbers(of, block, key[4:], stream), key[2], key[3]]
    keys = list(key[:2])
    for turn in range(_ROUNDS):
        if turn:
            keys = [_plus(of, k, step) for k, step in zip(keys, _WEYL, strict=True)]
        high0, low0 = _multiplied(of, counter[0], _MULTIPLIERS[0])
        high1, low1 = _multiplied(of, counter[2], _MULTIPLIERS[1])
        counter = [
            of.apply(_xor, high1, of.apply(_xor, counter[1], keys[0])),
            low1,
            of.apply(_xor, high0, of.apply(_xor, counter[3], keys[1])),
            low0,
        ]
    return counter


def _numbers(
    of: Elements, block: Element, first: Sequence[Element], stream: int
) -> tuple[Element, Element]:
    """The low and the high word of a block's number in its stream, counted from `first`."""
    if not first:
        return block, of.constant(stream, u32)
    start = of.apply(_joined, *first)
    whole = of.apply(lambda lanes, i, start: lanes.add(lanes.convert(i, u64), start), block, start)
    low = of.apply(lambda lanes, i: lanes.convert(i, u32), whole)
    high = of.apply(lambda lanes, i: lanes.convert(lanes.lshr(i, 32), u32), whole)
    return low, _plus(of, high, stream)


def _xor(lanes: Lanes, x: Lane, y: Lane) -> Lane:
    return lanes.xor(x, y)


def _plus(of: Elements, x: Element, amount: int) -> Element:
    return of.apply(lambda lanes, k: lanes.add(k, lanes.const(amount, u32)), x)


def _multiplied(of: Elements, x: Element, multiplier: int) -> tuple[Element, Element]:
    """The high and low halves of a 32 × 32 bit product."""
    halves: list[Lane] = []

    def high(lanes: Lanes, x: Lane) -> Lane:
        halves[:] = _halves(lanes, x, multiplier)
        return halves[0]

    product = of.apply(high, x)
    return product, Element(halves[1], product.level)


def _halves(lanes: Lanes, x: Lane, multiplier: int) -> tuple[Lane, Lane]:
    """The same for lanes; processors multiply every second lane of 32 bits to 64 at once."""
    if lanes.width == 1:
        product = lanes.mul(lanes.convert(x, u64), lanes.const(multiplier, u64))
        return lanes.convert(lanes.lshr(product, 32), u32), lanes.convert(product, u32)
    b, wide = lanes.builder, Lanes(lanes.builder, lanes.width // 2)
    pairs = Lane(b.bitcast(x.value, llvm_type(u64, wide.width)), u64)
    even, odd = wide.and_(pairs, wide.const(0xFFFFFFFF, u64)), wide.lshr(pairs, 32)
    products = [wide.mul(lane, wide.const(multiplier, u64)) for lane in (even, odd)]
    x32, y32 = (b.bitcast(lane.value, llvm_type(u32, lanes.width)) for lane in products)
    orders = [
        [half + i + part for i in range(0, lanes.width, 2) for part in (0, lanes.width)]
        for half in (1, 0)
    ]
    high, low = (Lane(shuffle(b, x32, y32, order), u32) for order in orders)
    return high, low
