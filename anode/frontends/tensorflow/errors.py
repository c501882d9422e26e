"""The exceptions of `tf.errors`: one class per status code of TensorFlow's runtime."""

from __future__ import annotations

from typing import Any, ClassVar

OK = 0
CANCELLED = 1
UNKNOWN = 2
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
ALREADY_EXISTS = 6
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
FAILED_PRECONDITION = 9
ABORTED = 10
OUT_OF_RANGE = 11
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
DATA_LOSS = 15
UNAUTHENTICATED = 16


class OpError(Exception):
    """An error of a running graph: the op that failed, if it is known, what went wrong, a code."""

    def __init__(self, node_def: Any, op: Any, message: str, error_code: int) -> None:
        super().__init__(node_def, op, message)
        self._node_def, self._op = node_def, op
        self._message, self._error_code = message, error_code

    @property
    def message(self) -> str:
        return self._message

    @property
    def op(self) -> Any:
        """The Operation that failed, or None."""
        return self._op

    @property
    def node_def(self) -> Any:
        """The NodeDef of the op that failed, or None."""
        return self._node_def

    @property
    def error_code(self) -> int:
        return self._error_code

    def __str__(self) -> str:
        lines = _origin(self._op)
        if not lines:
            return self._message
        made = f"The op {self._op.name} ({self._op.type}) was made at"
        return "\n".join([self._message, "", made, *lines])

    def __reduce__(self) -> tuple[Any, ...]:
        return exception_of_code, (self._error_code, None, None, self._message)  # no graph pickles


def _origin(op: Any) -> list[str]:
    """The user's lines that made an op, innermost first, as its `traceback` gives them."""
    frames = list(getattr(op, "traceback", None) or ())[-3:]
    return [f"  {file}:{line}   {text or ''}".rstrip() for file, line, _, text in reversed(frames)]


class _Coded(OpError):
    """An error whose class says its code."""

    code: ClassVar[int]

    def __init__(self, node_def: Any, op: Any, message: str) -> None:
        super().__init__(node_def, op, message, self.code)


class UnknownError(OpError):
    """An error of another kind, say an exception in a Python function of the graph."""

    def __init__(self, node_def: Any, op: Any, message: str, error_code: int = UNKNOWN) -> None:
        super().__init__(node_def, op, message, error_code)


class CancelledError(_Coded):
    """A run was stopped, say because its session or queue was closed."""

    code = CANCELLED


class InvalidArgumentError(_Coded):
    """An op was given a value it cannot take."""

    code = INVALID_ARGUMENT


class DeadlineExceededError(_Coded):
    """A run took longer than was allowed."""

    code = DEADLINE_EXCEEDED


class NotFoundError(_Coded):
    """A file, a key of a checkpoint or the like does not exist."""

    code = NOT_FOUND


class AlreadyExistsError(_Coded):
    """A file or the like exists and should not."""

    code = ALREADY_EXISTS


class PermissionDeniedError(_Coded):
    """The caller may not do this, say read this file."""

    code = PERMISSION_DENIED


class ResourceExhaustedError(_Coded):
    """Memory, disk space or the like has run out."""

    code = RESOURCE_EXHAUSTED


class FailedPreconditionError(_Coded):
    """The state does not allow it: a variable is read before it is initialised."""

    code = FAILED_PRECONDITION


class AbortedError(_Coded):
    """A run was given up, say because of another that ran at the same time."""

    code = ABORTED


class OutOfRangeError(_Coded):
    """The end of a data set, of a closed queue or of a file was reached."""

    code = OUT_OF_RANGE


class UnimplementedError(_Coded):
    """An op does not do this."""

    code = UNIMPLEMENTED


class InternalError(_Coded):
    """Something that should always hold does not."""

    code = INTERNAL


class UnavailableError(_Coded):
    """What is needed cannot be reached now."""

    code = UNAVAILABLE


class DataLossError(_Coded):
    """A file is damaged or ends too early."""

    code = DATA_LOSS


class UnauthenticatedError(_Coded):
    """The caller did not say who it is."""

    code = UNAUTHENTICATED


_BY_CODE: dict[int, type[_Coded]] = {kind.code: kind for kind in _Coded.__subclasses__()}
for _kind in (OpError, UnknownError, *_BY_CODE.values()):  # tracebacks read as TensorFlow's
    _kind.__module__ = "tensorflow.python.framework.errors_impl"


def exception_type_from_error_code(error_code: int) -> type[OpError]:
    """The class of a code; KeyError where there is none."""
    return UnknownError if error_code == UNKNOWN else _BY_CODE[error_code]


def error_code_from_exception_type(cls: type[OpError]) -> int:
    """The code of a class."""
    return cls.code if issubclass(cls, _Coded) else UNKNOWN


def exception_of_code(error_code: int, node_def: Any, op: Any, message: str) -> OpError:
    """The error of a code; UnknownError with that code where it has no class."""
    kind = _BY_CODE.get(error_code)
    if kind is None:
        return UnknownError(node_def, op, message, error_code)
    return kind(node_def, op, message)
