"""Reduction of the arguments of sin and cos to [-π/2, π/2], exact enough for every finite float."""

from __future__ import annotations

from typing import TYPE_CHECKING

import llvmlite.ir as ir

from anode.backends.cpu.vector_math_tables import FORMATS, INVERSE_PI_BITS
from anode.ir.dtypes import f64

if TYPE_CHECKING:
    from anode.backends.cpu.lanes import Lane, Lanes

_I1, _I32, _I64, _I128 = (ir.IntType(bits) for bits in (1, 32, 64, 128))
_F64 = ir.DoubleType()


def sine_angle(k: Lanes, x: Lane, cosine: bool) -> Lane:
    """r in [-π/2, π/2] with sin(r) = sin(x), or cos(x) if `cosine`.

    Large angles take a branch, which is not entered while every lane is moderate.
    """
    limit = k.const(FORMATS[x.dtype].angle_limit, x.dtype)
    large = k.gt(k.abs(x), limit)
    moderate = _moderate_angle(k, x, cosine)
    before = k.builder.block
    with k.builder.if_then(k.any(large), likely=False):
        angles = _large_angles(k, k.select(large, x, limit), cosine)
        reduced = k.select(large, angles, moderate)
        inside = k.builder.block
    result = k.builder.phi(x.value.type)
    result.add_incoming(moderate.value, before)
    result.add_incoming(reduced.value, inside)
    return type(x)(result, x.dtype)


def _moderate_angle(k: Lanes, x: Lane, cosine: bool) -> Lane:
    """Subtract n π (n π + π/2 for cos) in three parts; the first difference is exact.

    Source: Cody and Waite, "Software Manual for the Elementary Functions", 1980.
    """
    form = FORMATS[x.dtype]
    magic, half = k.const(form.magic, x.dtype), k.const(0.5, x.dtype)
    inverse = k.const(form.inverse_pi, x.dtype)
    if cosine:
        shifted = k.add(k.fma(x, inverse, k.neg(half)), magic)
        multiple = k.add(k.sub(shifted, magic), half)
        r = k.neg(x)  # cos(r + n π + π/2) = ±sin(-r)
    else:
        shifted = k.fma(x, inverse, magic)
        multiple = k.neg(k.sub(shifted, magic))
        r = x
    for part in form.pi:
        r = k.fma(multiple, k.const(part, x.dtype), r)
    odd = k.shl(k.bitcast(shifted, form.signed), x.dtype.bits - 1)
    return k.bitcast(k.xor(k.bitcast(r, form.signed), odd), x.dtype)


def _large_angles(k: Lanes, x: Lane, cosine: bool) -> Lane:
    """Reduce the lanes of `x` one by one."""
    b, function = k.builder, _large_angle_function(k.builder.module, cosine)
    if k.width == 1:
        wide = k.convert(x, f64)
        return k.convert(type(x)(b.call(function, [wide.value]), f64), x.dtype)
    before, loop = b.block, b.append_basic_block("angle")
    after = b.append_basic_block("angle.end")
    b.branch(loop)
    b.position_at_end(loop)
    lane, angles = b.phi(_I32), b.phi(x.value.type)
    element = b.extract_element(x.value, lane)
    wide = element if x.dtype is f64 else b.fpext(element, _F64)
    angle = b.call(function, [wide])
    angle = angle if x.dtype is f64 else b.fptrunc(angle, ir.FloatType())
    filled = b.insert_element(angles, angle, lane)
    following = b.add(lane, _I32(1))
    for phi, start, value in ((lane, _I32(0), following), (angles, x.value, filled)):
        phi.add_incoming(start, before)
        phi.add_incoming(value, loop)
    b.cbranch(b.icmp_unsigned("<", following, _I32(k.width)), loop, after)
    b.position_at_end(after)
    return type(x)(filled, x.dtype)


def _large_angle_function(module: ir.Module, cosine: bool) -> ir.Function:
    """The module's function f64 -> f64 that reduces one angle of at least 2^16; defined once."""
    name = "anode.cosine_angle" if cosine else "anode.sine_angle"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(_F64, [_F64]), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    b = ir.IRBuilder(function.append_basic_block())
    b.ret(_large_angle(b, function.args[0], cosine))
    return function


def _large_angle(b: ir.IRBuilder, x: ir.Value, cosine: bool) -> ir.Value:
    """x/π modulo 2 as a 128-bit fixed-point number with one integer bit, the parity of n.

    Source: Payne and Hanek, "Radian reduction for trigonometric functions", SIGNUM 1983.
    """
    bits = b.bitcast(x, _I64)
    turns = _product_bits(b, bits)
    half = ir.Constant(_I128, 1 << 126)
    if cosine:
        turns = b.sub(turns, half)
    nearest = b.add(turns, half)
    odd = b.trunc(b.lshr(nearest, _I128(127)), _I1)
    rest = b.sub(b.and_(nearest, ir.Constant(_I128, (1 << 127) - 1)), half)
    negative = b.icmp_signed("<", rest, _I128(0))
    magnitude = _times_pi(b, b.select(negative, b.neg(rest), rest))
    sign = b.xor(odd, negative)
    flip = _I1(1) if cosine else b.icmp_signed("<", bits, _I64(0))
    angle = b.select(b.xor(sign, flip), b.fneg(magnitude), magnitude)
    return b.fadd(angle, b.fsub(x, x))  # NaN for infinities


def _product_bits(b: ir.IRBuilder, bits: ir.Value) -> ir.Value:
    """The 128 bits from weight 1 down of |x|/π: x's mantissa times 192 bits of 1/π."""
    mantissa = b.and_(bits, _I64((1 << 52) - 1))
    mantissa = b.zext(b.or_(mantissa, _I64(1 << 52)), _I128)
    exponent = b.and_(b.lshr(bits, _I64(52)), _I64(0x7FF))
    position = b.sub(exponent, _I64(1023 + 52 - 63))  # of weight 1 in the padded table
    offset, shift = b.lshr(position, _I64(6)), b.and_(position, _I64(63))
    table = _table(b.module)
    pointers = [b.gep(table, [_I32(0), b.add(offset, _I64(i))], inbounds=True) for i in range(4)]
    words = [b.load(pointer) for pointer in pointers]
    funnel = _funnel_shift(b.module)
    high, middle, low = (
        b.zext(b.call(funnel, [words[i], words[i + 1], shift]), _I128) for i in range(3)
    )
    turns = b.shl(b.mul(mantissa, high), _I128(64))
    turns = b.add(turns, b.mul(mantissa, middle))
    return b.add(turns, b.lshr(b.mul(mantissa, low), _I128(64)))


def _times_pi(b: ir.IRBuilder, fraction: ir.Value) -> ir.Value:
    """π times the positive fixed-point `fraction` (127 fractional bits) as f64."""
    zeros = b.ctlz(fraction, _I1(0))
    leading = b.trunc(b.lshr(b.shl(fraction, zeros), _I128(64)), _I64)
    exponent = b.sub(_I64(1023 - 63), b.trunc(zeros, _I64))
    scale = b.bitcast(b.shl(exponent, _I64(52)), _F64)
    return b.fmul(b.fmul(b.uitofp(leading, _F64), ir.Constant(_F64, FORMATS[f64].pi[0])), scale)


def _table(module: ir.Module) -> ir.GlobalVariable:
    name = "anode.inverse_pi"
    if name in module.globals:
        return module.globals[name]
    words = [word - (1 << 64) if word >> 63 else word for word in INVERSE_PI_BITS]
    kind = ir.ArrayType(_I64, len(words))
    table = ir.GlobalVariable(module, kind, name)
    table.linkage, table.global_constant = "internal", True
    table.initializer = ir.Constant(kind, words)
    return table


def _funnel_shift(module: ir.Module) -> ir.Function:
    name = "llvm.fshl.i64"
    if name in module.globals:
        return module.globals[name]
    return ir.Function(module, ir.FunctionType(_I64, [_I64, _I64, _I64]), name)
