"""The hashes of strings that TensorFlow's buckets are: fixed for ever, whatever the machine.

Sources: FarmHash's 64-bit fingerprint (Pike, 2014), MurmurHash64A (Appleby), SipHash-2-4 (Aumasson
and Bernstein, 2012).
"""

from __future__ import annotations

from collections.abc import Sequence

_MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def _rotated(x: int, by: int) -> int:
    """64 bits turned right."""
    x &= _MASK
    return (x >> by | x << 64 - by) & _MASK


def _mixed(x: int) -> int:
    x &= _MASK
    return x ^ x >> 47


def _word(s: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(s[at : at + size], "little")


def _pair(u: int, v: int, mul: int) -> int:
    a = _mixed(((u ^ v) & _MASK) * mul)
    return _mixed(((v & _MASK) ^ a) * mul) * mul & _MASK


def farm_fingerprint(s: bytes) -> int:
    """The 64-bit FarmHash fingerprint of a string."""
    n = len(s)
    if n <= 16:
        return _up_to_16(s, n)
    if n <= 32:
        return _pair(*_halves(s, n), _K2 + 2 * n)
    return _up_to_64(s, n) if n <= 64 else _long(s, n)


def _up_to_16(s: bytes, n: int) -> int:
    mul = _K2 + 2 * n
    if n >= 8:
        a, b = _word(s, 0) + _K2, _word(s, n - 8)
        return _pair(_rotated(b, 37) * mul + a, (_rotated(a, 25) + b) * mul, mul)
    if n >= 4:
        return _pair(n + (_word(s, 0, 4) << 3), _word(s, n - 4, 4), mul)
    if n:
        y, z = s[0] + (s[n >> 1] << 8), n + (s[-1] << 2)
        return _mixed(y * _K2 & _MASK ^ z * _K0 & _MASK) * _K2 & _MASK
    return _K2


def _halves(s: bytes, n: int) -> tuple[int, int]:
    """The two words that hash 17 to 32 bytes, and begin the hash of up to 64."""
    mul = _K2 + 2 * n
    first = _K1 if n <= 32 else _K2
    a, b = _word(s, 0) * first, _word(s, 8)
    c, d = _word(s, n - 8) * mul, _word(s, n - 16) * _K2
    return _rotated(a + b, 43) + _rotated(c, 30) + d, a + _rotated(b + _K2, 18) + c


def _up_to_64(s: bytes, n: int) -> int:
    mul = _K2 + 2 * n
    a = _word(s, 0) * _K2
    y, other = _halves(s, n)
    z = _pair(y, other, mul)
    e, f = _word(s, 16) * mul, _word(s, 24)
    g, h = (y + _word(s, n - 32)) * mul, (z + _word(s, n - 24)) * mul
    return _pair(_rotated(e + f, 43) + _rotated(g, 30) + h, e + _rotated(f + a, 18) + g, mul)


def _weak(s: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = (_word(s, at + i) for i in (0, 8, 16, 24))
    a += w
    b = _rotated(b + a + z, 21)
    c = a
    a += x + y
    return a + z & _MASK, b + _rotated(a, 44) + c & _MASK


def _long(s: bytes, n: int) -> int:
    y = 81 * _K1 + 113
    x, z = 81 * _K2 + _word(s, 0), _mixed(y * _K2 + 113) * _K2
    v, w = (0, 0), (0, 0)
    for at in range(0, (n - 1) // 64 * 64, 64):
        x, y, z, v, w = _round(s, at, (x, y, z), v, w, _K1, 1)
    mul = _K1 + ((z & 0xFF) << 1)
    w0 = w[0] + ((n - 1) & 63)
    v0 = v[0] + w0
    x, y, z, v, w = _round(s, n - 64, (x, y, z), (v0, v[1]), (w0 + v0, w[1]), mul, 9)
    return _pair(_pair(v[0], w[0], mul) + _mixed(y) * _K0 + z, _pair(v[1], w[1], mul) + x, mul)


def _round(
    s: bytes,
    at: int,
    state: tuple[int, int, int],
    v: tuple[int, int],
    w: tuple[int, int],
    mul: int,
    weight: int,
) -> tuple[int, int, int, tuple[int, int], tuple[int, int]]:
    """64 bytes mixed into the state; of the last round `weight` is 9."""
    x, y, z = state
    x = _rotated(x + y + v[0] + _word(s, at + 8), 37) * mul
    y = _rotated(y + v[1] + _word(s, at + 48), 42) * mul
    x = x & _MASK ^ w[1] * weight & _MASK
    y += v[0] * weight + _word(s, at + 40)
    z = _rotated(z + w[0], 33) * mul
    v = _weak(s, at, v[1] * mul, x + w[0])
    w = _weak(s, at + 32, z + w[1], y + _word(s, at + 16))
    return z & _MASK, y & _MASK, x, v, w


def murmur64(s: bytes, seed: int = 0xDECAFCAFFE) -> int:
    """MurmurHash64A, with the seed of TensorFlow's Hash64."""
    m, n = 0xC6A4A7935BD1E995, len(s)
    h = seed ^ n * m & _MASK
    whole = n // 8 * 8
    for at in range(0, whole, 8):
        k = _mixed(_word(s, at) * m) * m & _MASK
        h = (h ^ k) * m & _MASK
    if whole < n:
        h = (h ^ _word(s, whole)) * m & _MASK
    return _mixed(_mixed(h) * m)


def sip_hash(s: bytes, key: Sequence[int]) -> int:
    """SipHash-2-4 of a string with a key of two numbers."""
    k0, k1 = (int(k) & _MASK for k in key)
    v = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]
    tail = len(s) // 8 * 8
    words = [_word(s, at) for at in range(0, tail, 8)]
    for m in (*words, _word(s, tail) | (len(s) & 0xFF) << 56):
        v[3] ^= m
        _sip_rounds(v, 2)
        v[0] ^= m
    v[2] ^= 0xFF
    _sip_rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _sip_rounds(v: list[int], count: int) -> None:
    for _ in range(count):
        v[0], v[2] = v[0] + v[1] & _MASK, v[2] + v[3] & _MASK
        v[1], v[3] = _rotated(v[1], 51) ^ v[0], _rotated(v[3], 48) ^ v[2]
        v[0], v[2] = _rotated(v[0], 32) + v[3] & _MASK, v[2] + v[1] & _MASK
        v[1], v[3] = _rotated(v[1], 47) ^ v[2], _rotated(v[3], 43) ^ v[0]
        v[2] = _rotated(v[2], 32)
