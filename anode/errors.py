"""The exceptions anode raises, all `AnodeError`; a message is one sentence and a way out."""


class AnodeError(Exception):
    """Base of every error anode raises on purpose."""


class ShapeError(AnodeError, TypeError):
    """Operands whose types or shapes do not fit the op; raised when the node is built."""


class UnsupportedOp(AnodeError, NotImplementedError):
    """An op, attribute or name that anode does not have."""


class GraphError(AnodeError, ValueError):
    """A graph not well formed: a stray input, a cycle of updates, text that does not parse."""


class BackendError(AnodeError, RuntimeError):
    """A backend that cannot compile, load or run what it was given."""


class DataError(AnodeError, ValueError):
    """Data that cannot be used as asked: a missing, damaged or mismatched file or array."""


class CheckpointError(AnodeError, ValueError):
    """A checkpoint that cannot be written, read, or does not fit the model."""
