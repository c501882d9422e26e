"""The scalar operations an elementwise op's line may use; NumPy, LLVM, CUDA C each implement them.

An elementwise op is one line over this interface (`anode.ops.elementwise`), so every backend that
implements `Scalars` runs every elementwise op. Operands are f32, f64, integers or bool: the half
types are widened to f32 before the line runs and rounded after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from anode.ir.dtypes import DType

Value = Any


class Scalars(ABC):
    """Operations on scalars (or lanes of scalars); `x`, `y` have the same DType unless stated.

    Integer arithmetic wraps; integer division truncates toward zero, and division by zero gives
    -1 (all bits set) with remainder x, as StableHLO leaves to the implementation. Of bool, `add`
    is or and `mul` is and; `sub`, `div`, `rem`, `neg`, `abs` and `pow` take no bool. Comparisons
    give bool; a comparison with NaN is false, but `ne` is true; false < true. A shift amount is
    read as unsigned; the width or more gives 0 (or the sign). Which NaN results is unspecified.
    """

    @abstractmethod
    def dtype(self, x: Value) -> DType: ...
    @abstractmethod
    def const(self, value: float | int | bool, dtype: DType) -> Value: ...

    # arithmetic, any number
    @abstractmethod
    def add(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def sub(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def mul(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def div(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def rem(self, x: Value, y: Value) -> Value:
        """The remainder with the sign of `x` (C's fmod and %)."""

    @abstractmethod
    def neg(self, x: Value) -> Value: ...
    @abstractmethod
    def abs(self, x: Value) -> Value: ...
    @abstractmethod
    def max(self, x: Value, y: Value) -> Value:
        """The larger; NaN if either is NaN; of 0 and -0 either. For bool: or."""

    @abstractmethod
    def min(self, x: Value, y: Value) -> Value:
        """The smaller; NaN if either is NaN; of 0 and -0 either. For bool: and."""

    # floats only
    @abstractmethod
    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """x·y + z; rounded once where the processor can."""

    @abstractmethod
    def sqrt(self, x: Value) -> Value: ...
    @abstractmethod
    def floor(self, x: Value) -> Value: ...
    @abstractmethod
    def ceil(self, x: Value) -> Value: ...
    @abstractmethod
    def trunc(self, x: Value) -> Value: ...
    @abstractmethod
    def round_even(self, x: Value) -> Value:
        """To the nearest integer, ties to even."""

    @abstractmethod
    def exp(self, x: Value) -> Value: ...
    @abstractmethod
    def expm1(self, x: Value) -> Value: ...
    @abstractmethod
    def log(self, x: Value) -> Value: ...
    @abstractmethod
    def log1p(self, x: Value) -> Value: ...
    @abstractmethod
    def sin(self, x: Value) -> Value: ...
    @abstractmethod
    def cos(self, x: Value) -> Value: ...
    @abstractmethod
    def tanh(self, x: Value) -> Value: ...
    @abstractmethod
    def erf(self, x: Value) -> Value: ...
    @abstractmethod
    def atan(self, x: Value) -> Value: ...
    @abstractmethod
    def pow(self, x: Value, y: Value) -> Value:
        """x to the y with C's special cases; on integers, repeated multiplication.

        A negative integer y gives 1 / x^-y truncated toward zero, and 0 for x = 0.
        """

    # comparisons -> bool
    @abstractmethod
    def eq(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def ne(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def lt(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def le(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def gt(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def ge(self, x: Value, y: Value) -> Value: ...

    # integers and bool
    @abstractmethod
    def and_(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def or_(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def xor(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def not_(self, x: Value) -> Value: ...
    @abstractmethod
    def shift_left(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def shift_right_logical(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def shift_right_arithmetic(self, x: Value, y: Value) -> Value: ...
    @abstractmethod
    def popcount(self, x: Value) -> Value: ...
    @abstractmethod
    def clz(self, x: Value) -> Value:
        """Leading zero bits; the width for 0."""

    # any type
    @abstractmethod
    def select(self, pred: Value, x: Value, y: Value) -> Value:
        """`x` where `pred` (bool), else `y`."""

    @abstractmethod
    def convert(self, x: Value, dtype: DType) -> Value:
        """Change the type, rounding to nearest; integers wrap; to bool is x != 0.

        Floats to integers truncate toward zero and saturate; NaN gives 0. `dtype` is not a half
        type: convert to f32, which the backend rounds as it does every result.
        """

    @abstractmethod
    def bitcast(self, x: Value, dtype: DType) -> Value:
        """The same bits as another type of the same width; not bool and not a half type."""
