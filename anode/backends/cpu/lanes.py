"""The scalar operations as LLVM instructions on scalars or on vectors of `width` lanes.

The code calls nothing outside its module: what the processor has no instruction for is polynomials
(`vector_math`) or a loop. That holds where the target has floor and fused multiply-add (SSE4.1 and
FMA, or AArch64) and, for f16, F16C. `rem`, `sin` and `cos` of floats end in another basic block
than they began in, so read `builder.block` again after an elementwise line. The bits of a lane are
the same at every width, provided the function has no fast-math attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import llvmlite.ir as ir

from anode.backends.cpu import vector_math, vector_math_pow
from anode.errors import BackendError
from anode.ir.dtypes import DType, bf16, bool_, f16, f32, f64, u32
from anode.ops.scalars import Scalars

_FLOATS = {f64: ir.DoubleType(), f32: ir.FloatType(), f16: ir.HalfType()}


@dataclass(frozen=True)
class Lane:
    """A value in a register: a scalar or a vector of one element type."""

    value: ir.Value
    dtype: DType


def llvm_type(dtype: DType, width: int) -> ir.Type:
    """The register type of `width` elements, scalar for 1: bool is i1, bf16 its bits as i16."""
    element = _FLOATS.get(dtype, ir.IntType(dtype.bits))
    return element if width == 1 else ir.VectorType(element, width)


class Lanes(Scalars):
    """`Scalars` that append instructions to `builder`; values are `Lane`s of `width` elements."""

    def __init__(self, builder: ir.IRBuilder, width: int) -> None:
        self.builder = builder
        self.width = width

    def dtype(self, x: Lane) -> DType:
        return x.dtype

    def const(self, value: float | int | bool, dtype: DType) -> Lane:
        scalar = ir.Constant(llvm_type(dtype, 1), _literal(value, dtype))
        if self.width == 1:
            return Lane(scalar, dtype)
        return Lane(_Splat(self._type(dtype), scalar), dtype)

    def splat(self, value: ir.Value, dtype: DType) -> Lane:
        """Every lane holding the scalar `value`."""
        if self.width == 1 or isinstance(value.type, ir.VectorType):
            return Lane(value, dtype)
        if isinstance(value, ir.Constant):
            return Lane(_Splat(self._type(dtype), value), dtype)
        undefined = ir.Constant(self._type(dtype), ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.width), None)
        return Lane(self.builder.shuffle_vector(first, undefined, lanes), dtype)

    def widen(self, x: Lane) -> Lane:
        """f16 and bf16 to f32, exactly; other types unchanged."""
        if x.dtype is f16:
            return Lane(self.builder.fpext(x.value, self._type(f32)), f32)
        if x.dtype is not bf16:
            return x
        bits = Lane(self.builder.zext(x.value, self._type(u32)), u32)
        return self.bitcast(self.shl(bits, 16), f32)

    def round(self, x: Lane, dtype: DType) -> Lane:
        """f32 to f16 or bf16, to nearest with ties to even; unchanged if already of `dtype`."""
        if x.dtype is dtype:
            return x
        if x.dtype is not f32 or dtype not in (f16, bf16):
            raise BackendError(f"cannot round {x.dtype} to {dtype}: convert it to f32 first")
        if dtype is f16:
            return Lane(self.builder.fptrunc(x.value, self._type(f16)), f16)
        bits = self._round_bf16(x)
        return Lane(self.builder.trunc(bits.value, self._type(bf16)), bf16)

    def _round_bf16(self, x: Lane) -> Lane:
        """The bits of `x` rounded to bf16, as u32; a NaN is made quiet."""
        bits = self.bitcast(x, u32)
        high = self.lshr(bits, 16)
        half = self.add(self.and_(high, self.const(1, u32)), self.const(0x7FFF, u32))
        quiet = self.or_(high, self.const(0x40, u32))
        return self.select(self.ne(x, x), quiet, self.lshr(self.add(bits, half), 16))

    def any(self, pred: Lane) -> ir.Value:
        """A scalar i1: whether `pred` holds in some lane."""
        if self.width == 1:
            return pred.value
        mask = self.builder.bitcast(pred.value, ir.IntType(self.width))
        return self.builder.icmp_unsigned("!=", mask, mask.type(0))

    # arithmetic
    def add(self, x: Lane, y: Lane) -> Lane:
        return self._arithmetic(x, y, "fadd", "add", "or_")

    def sub(self, x: Lane, y: Lane) -> Lane:
        return self._arithmetic(x, y, "fsub", "sub")

    def mul(self, x: Lane, y: Lane) -> Lane:
        return self._arithmetic(x, y, "fmul", "mul", "and_")

    def div(self, x: Lane, y: Lane) -> Lane:
        if not x.dtype.is_integer:
            return self._arithmetic(x, y, "fdiv", "")
        one, minus_one = self.const(1, x.dtype), self.const(-1, x.dtype)
        zero = self.eq(y, self.const(0, x.dtype))
        if x.dtype.kind == "unsigned":
            safe = self.select(zero, one, y)
            return self.select(zero, minus_one, self._binary("udiv", x, safe))
        negate = self.eq(y, minus_one)
        safe = self.select(self.or_(zero, negate), one, y)
        quotient = self.select(negate, self.neg(x), self._binary("sdiv", x, safe))
        return self.select(zero, minus_one, quotient)

    def rem(self, x: Lane, y: Lane) -> Lane:
        if x.dtype.is_float:
            return vector_math_pow.rem(self, x, y)
        zero = self.eq(y, self.const(0, x.dtype))
        signed = x.dtype.kind == "signed"
        unsafe = self.or_(zero, self.eq(y, self.const(-1, x.dtype))) if signed else zero
        safe = self.select(unsafe, self.const(1, x.dtype), y)
        return self.select(zero, x, self._binary("srem" if signed else "urem", x, safe))

    def neg(self, x: Lane) -> Lane:
        if x.dtype.is_float:
            return Lane(self.builder.fneg(x.value), x.dtype)
        return self.sub(self.const(0, x.dtype), x)

    def abs(self, x: Lane) -> Lane:
        if x.dtype.is_float:
            return self._intrinsic("fabs", x)
        if x.dtype.kind == "unsigned":
            return x
        return self.select(self.lt(x, self.const(0, x.dtype)), self.neg(x), x)

    def max(self, x: Lane, y: Lane) -> Lane:
        return self.or_(x, y) if x.dtype is bool_ else self._extreme(">", x, y)

    def min(self, x: Lane, y: Lane) -> Lane:
        return self.and_(x, y) if x.dtype is bool_ else self._extreme("<", x, y)

    def _extreme(self, order: str, x: Lane, y: Lane) -> Lane:
        """The operand that is first in `order`.

        `select(y > x, y, x)` is x if either is NaN, and one instruction on x86, and all
        that is needed if y is a constant.
        """
        if isinstance(x.value, ir.Constant):
            x, y = y, x
        first = self.select(self._compare(order, y, x), y, x)
        if not x.dtype.is_float or _is_number(y.value):
            return first
        return self.select(self.ne(y, y), y, first)

    # floats
    def fma(self, x: Lane, y: Lane, z: Lane) -> Lane:
        return self._intrinsic("fma", x, y, z)

    def sqrt(self, x: Lane) -> Lane:
        return self._intrinsic("sqrt", x)

    def floor(self, x: Lane) -> Lane:
        return self._intrinsic("floor", x)

    def ceil(self, x: Lane) -> Lane:
        return self._intrinsic("ceil", x)

    def trunc(self, x: Lane) -> Lane:
        return self._intrinsic("trunc", x)

    def round_even(self, x: Lane) -> Lane:
        return self._intrinsic("rint", x)

    def copysign(self, x: Lane, y: Lane) -> Lane:
        """The magnitude of `x` with the sign of `y`."""
        return self._intrinsic("copysign", x, y)

    def exp(self, x: Lane) -> Lane:
        return vector_math.exp(self, x)

    def expm1(self, x: Lane) -> Lane:
        return vector_math.expm1(self, x)

    def log(self, x: Lane) -> Lane:
        return vector_math.log(self, x)

    def log1p(self, x: Lane) -> Lane:
        return vector_math.log1p(self, x)

    def sin(self, x: Lane) -> Lane:
        return vector_math.sin(self, x)

    def cos(self, x: Lane) -> Lane:
        return vector_math.cos(self, x)

    def tanh(self, x: Lane) -> Lane:
        return vector_math.tanh(self, x)

    def erf(self, x: Lane) -> Lane:
        return vector_math.erf(self, x)

    def atan(self, x: Lane) -> Lane:
        return vector_math.atan(self, x)

    def pow(self, x: Lane, y: Lane) -> Lane:
        if x.dtype.is_float:
            return vector_math_pow.pow(self, x, y)
        return vector_math_pow.integer_pow(self, x, y)

    # comparisons
    def eq(self, x: Lane, y: Lane) -> Lane:
        return self._compare("==", x, y)

    def ne(self, x: Lane, y: Lane) -> Lane:
        return self._compare("!=", x, y)

    def lt(self, x: Lane, y: Lane) -> Lane:
        return self._compare("<", x, y)

    def le(self, x: Lane, y: Lane) -> Lane:
        return self._compare("<=", x, y)

    def gt(self, x: Lane, y: Lane) -> Lane:
        return self._compare(">", x, y)

    def ge(self, x: Lane, y: Lane) -> Lane:
        return self._compare(">=", x, y)

    # integers and bool
    def and_(self, x: Lane, y: Lane) -> Lane:
        return self._binary("and_", x, y)

    def or_(self, x: Lane, y: Lane) -> Lane:
        return self._binary("or_", x, y)

    def xor(self, x: Lane, y: Lane) -> Lane:
        return self._binary("xor", x, y)

    def not_(self, x: Lane) -> Lane:
        return self.xor(x, self.const(-1, x.dtype))

    def shift_left(self, x: Lane, y: Lane) -> Lane:
        return self._shift("shl", x, y)

    def shift_right_logical(self, x: Lane, y: Lane) -> Lane:
        return self._shift("lshr", x, y)

    def shift_right_arithmetic(self, x: Lane, y: Lane) -> Lane:
        last = self.const(x.dtype.bits - 1, x.dtype)
        return self._binary("ashr", x, self.select(self._below(y, last), y, last))

    def shl(self, x: Lane, amount: int) -> Lane:
        """Shift left by a constant below the width."""
        return self._binary("shl", x, self.const(amount, x.dtype))

    def lshr(self, x: Lane, amount: int) -> Lane:
        """Shift right by a constant below the width, filling with zeros."""
        return self._binary("lshr", x, self.const(amount, x.dtype))

    def ashr(self, x: Lane, amount: int) -> Lane:
        """Shift right by a constant below the width, filling with the sign."""
        return self._binary("ashr", x, self.const(amount, x.dtype))

    def _shift(self, name: str, x: Lane, y: Lane) -> Lane:
        """Shift `x`; LLVM leaves the result open when the amount is the width or more."""
        inside = self._below(y, self.const(x.dtype.bits, x.dtype))
        return self.select(inside, self._binary(name, x, y), self.const(0, x.dtype))

    def _below(self, x: Lane, y: Lane) -> Lane:
        return Lane(self.builder.icmp_unsigned("<", x.value, y.value), bool_)

    def popcount(self, x: Lane) -> Lane:
        return self._intrinsic("ctpop", x)

    def clz(self, x: Lane) -> Lane:
        return self._intrinsic("ctlz", x, Lane(ir.IntType(1)(0), bool_))

    # any type
    def select(self, pred: Lane, x: Lane, y: Lane) -> Lane:
        return Lane(self.builder.select(pred.value, x.value, y.value), x.dtype)

    def convert(self, x: Lane, dtype: DType) -> Lane:
        if dtype in (f16, bf16) or x.dtype in (f16, bf16):
            raise BackendError(f"cannot convert {x.dtype} to {dtype}: use widen and round")
        if dtype is x.dtype:
            return x
        if dtype is bool_:
            return self.ne(x, self.const(0, x.dtype))
        if x.dtype.is_float and dtype.is_integer:
            sign = "s" if dtype.kind == "signed" else "u"
            return self._intrinsic(f"fpto{sign}i.sat", x, result=dtype)
        name = _conversion(x.dtype, dtype)
        if name == "bitcast":  # the same integer, read with the other sign
            return Lane(x.value, dtype)
        return Lane(getattr(self.builder, name)(x.value, self._type(dtype)), dtype)

    def bitcast(self, x: Lane, dtype: DType) -> Lane:
        if x.dtype.bits != dtype.bits:
            raise BackendError(f"cannot bitcast {x.dtype} to {dtype}: the widths differ")
        return Lane(self.builder.bitcast(x.value, self._type(dtype)), dtype)

    # construction
    def _type(self, dtype: DType) -> ir.Type:
        return llvm_type(dtype, self.width)

    def _binary(self, name: str, x: Lane, y: Lane) -> Lane:
        return Lane(getattr(self.builder, name)(x.value, y.value), x.dtype)

    def _arithmetic(self, x: Lane, y: Lane, real: str, integer: str, boolean: str = "") -> Lane:
        name = real if x.dtype.is_float else boolean if x.dtype is bool_ else integer
        if not name:
            raise BackendError(f"{real[1:]} takes no {x.dtype}: convert it to a number first")
        return self._binary(name, x, y)

    def _compare(self, order: str, x: Lane, y: Lane) -> Lane:
        b = self.builder
        if x.dtype.is_float:
            compare = b.fcmp_unordered if order == "!=" else b.fcmp_ordered
        else:
            compare = b.icmp_signed if x.dtype.kind == "signed" else b.icmp_unsigned
        return Lane(compare(order, x.value, y.value), bool_)

    def _intrinsic(self, name: str, *operands: Lane, result: DType | None = None) -> Lane:
        """Call `llvm.name`, overloaded on the result type and, if that differs, the operand's."""
        dtype = result or operands[0].dtype
        overloads = [self._mangled(dtype)] + ([self._mangled(operands[0].dtype)] if result else [])
        types = [x.value.type for x in operands]
        function = declare(
            self.builder.module, ".".join(["llvm", name, *overloads]), self._type(dtype), types
        )
        return Lane(self.builder.call(function, [x.value for x in operands]), dtype)

    def _mangled(self, dtype: DType) -> str:
        element = f"{'f' if dtype.is_float else 'i'}{dtype.bits}"
        return element if self.width == 1 else f"v{self.width}{element}"


class _Splat(ir.Constant):
    """A vector constant with equal elements, in the short spelling."""

    def __init__(self, kind: ir.VectorType, scalar: ir.Constant) -> None:
        self.type, self.constant = kind, scalar

    def _to_string(self) -> str:
        return f"{self.type} {self.get_reference()}"

    def _get_reference(self) -> str:
        return f"splat ({self.constant})"


def declare(
    module: ir.Module, name: str, result: ir.Type, operands: Sequence[ir.Type]
) -> ir.Function:
    """The function `name` of `module`, declared on first use."""
    if name in module.globals:
        return module.globals[name]
    return ir.Function(module, ir.FunctionType(result, operands), name)


def _literal(value: float | int | bool, dtype: DType) -> float | int:
    if dtype.is_float:
        return float(value)
    if dtype is bool_:
        return int(bool(value))
    wrapped = int(value) & ((1 << dtype.bits) - 1)
    return wrapped - (1 << dtype.bits) if wrapped >> (dtype.bits - 1) else wrapped


def _is_number(value: ir.Value) -> bool:
    """Whether `value` is a constant but not NaN, which llvmlite writes as 0x.ff8000000000000."""
    return isinstance(value, ir.Constant) and "ff8000000000000" not in value.get_reference()


def _conversion(source: DType, target: DType) -> str:
    """The LLVM instruction from `source` to `target`, which differ; not floats to integers."""
    if source.is_float:
        return "fpext" if target.bits > source.bits else "fptrunc"
    if target.is_float:
        return "sitofp" if source.kind == "signed" else "uitofp"
    if target.bits == source.bits:
        return "bitcast"
    if target.bits < source.bits:
        return "trunc"
    return "sext" if source.kind == "signed" else "zext"
