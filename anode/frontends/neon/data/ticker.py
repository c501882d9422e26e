"""Tasks that are made up as they are trained on: copy, repeat and sort sequences of bits.

All draw from NumPy's global generator. Source: Graves et al., "Neural Turing Machines", 2014.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from anode.frontends.neon import NervanaObject


class Task(NervanaObject):
    """A task of sequences; a subclass sets `nin`, `nout`, `time_steps_max` and `max_columns`.

    All sequences of a minibatch have one length, drawn anew for each; columns are step by step.
    """

    nin: int
    nout: int
    max_columns: int

    def fetch_io(self, time_steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Zeros for the inputs and outputs of this many steps."""
        columns = time_steps * self.be.bsz
        return np.zeros((self.nin, columns)), np.zeros((self.nout, columns))

    def fill_buffers(
        self,
        time_steps: int,
        inputs: np.ndarray,
        outputs: np.ndarray,
        in_tensor: Any,
        out_tensor: Any,
        mask: Any,
    ) -> None:
        """Put inputs and outputs into tensors of the longest length, and their extent in `mask`."""
        for tensor, values in ((in_tensor, inputs), (out_tensor, outputs)):
            tensor.set(self._padded(values))
        rows = mask.shape[0]
        mask.set(self._padded(np.ones((rows, time_steps * self.be.bsz))))

    def _padded(self, values: np.ndarray) -> np.ndarray:
        return np.pad(values, ((0, 0), (0, self.max_columns - values.shape[1])))

    def _bits(self, rows: int, seq_len: int) -> np.ndarray:
        """Random bits for a sequence of each column of the batch."""
        return np.random.randint(2, size=(rows, seq_len * self.be.bsz))


class CopyTask(Task):
    """See up to `seq_len_max` vectors of bits, then give them back."""

    def __init__(self, seq_len_max: int, vec_size: int) -> None:
        self.seq_len_max, self.vec_size = seq_len_max, vec_size
        self.nin, self.nout = vec_size + 2, vec_size  # two channels say start and stop
        self.time_steps_func = lambda length: 2 * length + 2
        self.time_steps_max = self.time_steps_func(seq_len_max)
        self.max_columns = self.time_steps_max * self.be.bsz

    def synthesize(self, in_tensor: Any, out_tensor: Any, mask: Any) -> None:
        """Put a new minibatch into the tensors."""
        seq_len = np.random.randint(1, self.seq_len_max + 1)
        time_steps, size = self.time_steps_func(seq_len), self.be.bsz
        inputs, outputs = self.fetch_io(time_steps)
        stop = size * (seq_len + 1)
        bits = self._bits(self.vec_size, seq_len)
        inputs[-2, :size] = 1
        inputs[-1, stop : stop + size] = 1
        inputs[: self.vec_size, size:stop] = bits
        outputs[:, stop + size :] = bits
        self.fill_buffers(time_steps, inputs, outputs, in_tensor, out_tensor, mask)


class RepeatCopyTask(Task):
    """See vectors of bits and a number, then give the vectors back that many times."""

    def __init__(self, seq_len_max: int, repeat_count_max: int, vec_size: int) -> None:
        self.seq_len_max, self.repeat_count_max = seq_len_max, repeat_count_max
        self.vec_size = vec_size
        self.nin, self.nout = vec_size + 2, vec_size + 1  # the output has a stop channel
        self.time_steps_func = lambda length, count: length * (count + 1) + 3
        self.time_steps_max = self.time_steps_func(seq_len_max, repeat_count_max)
        self.max_columns = self.time_steps_max * self.be.bsz

    def synthesize(self, in_tensor: Any, out_tensor: Any, mask: Any) -> None:
        """Put a new minibatch into the tensors."""
        seq_len = np.random.randint(1, self.seq_len_max + 1)
        count = np.random.randint(1, self.repeat_count_max + 1)
        time_steps, size = self.time_steps_func(seq_len, count), self.be.bsz
        inputs, outputs = self.fetch_io(time_steps)
        stop = size * (seq_len + 1)
        bits = self._bits(self.vec_size, seq_len)
        inputs[-2, :size] = 1
        inputs[-1, stop : stop + size] = count
        inputs[: self.vec_size, size:stop] = bits
        outputs[:-1, stop + size : stop + size + count * bits.shape[1]] = np.tile(bits, count)
        outputs[-1, -size:] = 1
        self.fill_buffers(time_steps, inputs, outputs, in_tensor, out_tensor, mask)


class PrioritySortTask(Task):
    """See vectors of bits with a priority each, then give them back with the least first."""

    def __init__(self, seq_len_max: int, vec_size: int) -> None:
        self.seq_len_max, self.vec_size = seq_len_max, vec_size
        self.nin, self.nout = vec_size + 3, vec_size  # start, stop and priority
        self.time_steps_func = lambda length: 2 * length + 2
        self.time_steps_max = self.time_steps_func(seq_len_max)
        self.max_columns = self.time_steps_max * self.be.bsz

    def synthesize(self, in_tensor: Any, out_tensor: Any, mask: Any) -> None:
        """Put a new minibatch into the tensors."""
        seq_len = np.random.randint(1, self.seq_len_max + 1)
        time_steps, size = self.time_steps_func(seq_len), self.be.bsz
        inputs, outputs = self.fetch_io(time_steps)
        stop = size * (seq_len + 1)
        sequence = self._bits(self.nin, seq_len).astype(float)
        sequence[-3:] = 0
        sequence[-1] = np.random.uniform(-1, 1, size=seq_len * size)
        inputs[-3, :size] = 1
        inputs[-2, stop : stop + size] = 1
        inputs[:, size:stop] = sequence
        outputs[:, stop + size :] = self._sorted(sequence)[: self.nout]
        self.fill_buffers(time_steps, inputs, outputs, in_tensor, out_tensor, mask)

    def _sorted(self, sequence: np.ndarray) -> np.ndarray:
        """The steps of each sequence by their last row."""
        steps = sequence.reshape(self.nin, -1, self.be.bsz)
        order = np.argsort(steps[-1], axis=0)
        return np.take_along_axis(steps, order[np.newaxis], axis=1).reshape(self.nin, -1)


class Ticker(NervanaObject):
    """A data set of 100 minibatches an epoch, which a task makes up: inputs, (targets, mask)."""

    def __init__(self, task: Any) -> None:
        self.task = task
        self.batch_index, self.nbatches = 0, 100
        self.ndata = self.nbatches * self.be.bsz
        self.nout, self.nin = task.nout, task.nin
        self.shape = self.nin, task.time_steps_max
        self.dev_X = self.be.iobuf((self.nin, task.time_steps_max))
        self.dev_y = self.be.iobuf((self.nout, task.time_steps_max))
        self.mask = self.be.iobuf((self.nout, task.time_steps_max))

    def reset(self) -> None:
        """Nothing: there is no first minibatch to go back to."""

    def __iter__(self) -> Iterator[Any]:
        for batch in range(self.nbatches):
            self.batch_index = batch + 1
            self.task.synthesize(self.dev_X, self.dev_y, self.mask)
            yield self.dev_X, (self.dev_y, self.mask)
