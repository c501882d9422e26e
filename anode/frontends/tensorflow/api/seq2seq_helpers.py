"""tf.contrib.seq2seq's helpers: what a decoder is fed at each step, and when it has finished."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.api import nest
from anode.frontends.tensorflow.api.layers_options import public
from anode.frontends.tensorflow.api.rnn import rows_where, swapped
from anode.frontends.tensorflow.api.seq2seq import seq2seq_export
from anode.frontends.tensorflow.dtypes import as_dtype, int32
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, name_scope
from anode.frontends.tensorflow.tensor_shape import TensorShape


@seq2seq_export
class Helper:
    """What the decoder samples, and its next inputs."""

    @property
    def batch_size(self) -> Any:
        raise NotImplementedError("batch_size has not been implemented")

    @property
    def sample_ids_shape(self) -> Any:
        return TensorShape([])

    @property
    def sample_ids_dtype(self) -> Any:
        return int32

    def initialize(self, name: str | None = None) -> tuple[Any, Any]:
        """(finished, first inputs)."""
        raise NotImplementedError("initialize has not been implemented")

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """The symbols that outputs stand for."""
        raise NotImplementedError("sample has not been implemented")

    def next_inputs(
        self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None
    ) -> Any:
        """(finished, next inputs, next state)."""
        raise NotImplementedError("next_inputs has not been implemented")


def _argmax(outputs: Any) -> Any:
    return apply("ArgMax", outputs, -1, output_type="int32")


def _categorical(logits: Any, seed: Any) -> Any:
    drawn = public("random.categorical")(logits, 1, seed=seed, dtype=int32)
    return apply("Squeeze", drawn, squeeze_dims=[-1])


@seq2seq_export
class CustomHelper(Helper):
    """A helper made of functions."""

    def __init__(
        self,
        initialize_fn: Callable[[], Any],
        sample_fn: Callable[..., Any],
        next_inputs_fn: Callable[..., Any],
        sample_ids_shape: Any = None,
        sample_ids_dtype: Any = None,
    ) -> None:
        self._initialize_fn, self._sample_fn = initialize_fn, sample_fn
        self._next_inputs_fn, self._batch_size = next_inputs_fn, None
        self._shape = TensorShape(sample_ids_shape or [])
        self._dtype = as_dtype(sample_ids_dtype or int32)

    @property
    def batch_size(self) -> Any:
        if self._batch_size is None:
            raise ValueError("batch_size accessed before initialize was called")
        return self._batch_size

    @property
    def sample_ids_shape(self) -> Any:
        return self._shape

    @property
    def sample_ids_dtype(self) -> Any:
        return self._dtype

    def initialize(self, name: str | None = None) -> tuple[Any, Any]:
        with name_scope(name, "CustomHelperInitialize"):
            finished, inputs = self._initialize_fn()
            if self._batch_size is None:
                self._batch_size = apply("Size", finished)
        return finished, inputs

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        with name_scope(name, "CustomHelperSample", [time]):
            return self._sample_fn(time=time, outputs=outputs, state=state)

    def next_inputs(
        self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None
    ) -> Any:
        with name_scope(name, "CustomHelperNextInputs", [time]):
            return self._next_inputs_fn(
                time=time, outputs=outputs, state=state, sample_ids=sample_ids
            )


@seq2seq_export
class TrainingHelper(Helper):
    """The inputs are given [batch, time, ...]; row i ends after `sequence_length[i]` steps."""

    following: Any = None  # the next inputs, while a loop goes over them itself

    def __init__(
        self, inputs: Any, sequence_length: Any, time_major: bool = False, name: str | None = None
    ) -> None:
        with name_scope(name, "TrainingHelper", [inputs, sequence_length]):
            self._inputs = inputs = nest.map_structure(convert_to_tensor, inputs)
            self._major = inputs if time_major else nest.map_structure(swapped, inputs)
            self._sequence_length = convert_to_tensor(sequence_length, name="sequence_length")
            if self._sequence_length.shape.rank != 1:
                raise ValueError(
                    "Expected sequence_length to be a vector, but received shape: "
                    f"{self._sequence_length.shape}"
                )
            if self._sequence_length.dtype.base_dtype != int32:
                self._sequence_length = apply("Cast", self._sequence_length, DstT="int32")
            self._zero_inputs = nest.map_structure(lambda x: apply("ZerosLike", x[0]), self._major)
            self._batch_size = apply("Size", self._sequence_length)

    @property
    def inputs(self) -> Any:
        return self._inputs

    @property
    def sequence_length(self) -> Any:
        return self._sequence_length

    @property
    def batch_size(self) -> Any:
        return self._batch_size

    def steps(self) -> Any:
        """How many steps all rows take; None where a subclass may end otherwise."""
        if type(self).next_inputs not in _BY_LENGTH:
            return None
        return apply("Max", self._sequence_length, [0], keep_dims=False)

    def inputs_after(self, steps: Any) -> Any:
        """The next inputs of each step, along a leading axis."""

        def shifted(x: Any) -> Any:
            zero = apply("ExpandDims", apply("ZerosLike", x[0]), 0)
            return apply("ConcatV2", [x, zero], 0)[1 : steps + 1]

        return nest.map_structure(shifted, self._major)

    def initialize(self, name: str | None = None) -> tuple[Any, Any]:
        with name_scope(name, "TrainingHelperInitialize"):
            finished = apply("Equal", 0, self._sequence_length)
            return finished, nest.map_structure(lambda x: x[0], self._major)

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        with name_scope(name, "TrainingHelperSample", [time, outputs]):
            return _argmax(outputs)

    def next_inputs(
        self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None
    ) -> Any:
        with name_scope(name, "TrainingHelperNextInputs", [time, outputs]):
            later = time + 1
            finished = apply("GreaterEqual", later, self._sequence_length)
            if self.following is not None:
                return finished, self.following, state
            none = apply("All", finished, [0], keep_dims=False)

            def read(x: Any, zero: Any) -> Any:
                row = apply("GatherV2", x, apply("Minimum", later, apply("Shape", x)[0] - 1), 0)
                return apply("SelectV2", none, zero, row)

            following = nest.map_structure(read, self._major, self._zero_inputs)
            return finished, following, state


@seq2seq_export
class ScheduledEmbeddingTrainingHelper(TrainingHelper):
    """Given inputs, replaced at random by the embeddings of what was sampled before."""

    def __init__(
        self,
        inputs: Any,
        sequence_length: Any,
        embedding: Any,
        sampling_probability: Any,
        time_major: bool = False,
        seed: int | None = None,
        scheduling_seed: int | None = None,
        name: str | None = None,
    ) -> None:
        self._embedding_fn = _embedding(embedding)
        self._probability = convert_to_tensor(sampling_probability)
        if self._probability.shape.rank not in (0, 1):
            raise ValueError("sampling_probability must be either a scalar or a vector")
        self._seed, self._scheduling_seed = seed, scheduling_seed
        super().__init__(inputs, sequence_length, time_major, name)

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        with name_scope(name, "ScheduledEmbeddingTrainingHelperSample", [time, outputs]):
            size = apply("Shape", outputs)[0]
            drawn = public("random_uniform")([size], seed=self._scheduling_seed)
            ids = _categorical(outputs, self._seed)
            chosen = apply("Less", drawn, self._probability)
            return rows_where(chosen, ids, apply("Fill", apply("Shape", ids), -1))

    def next_inputs(
        self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None
    ) -> Any:
        with name_scope(name, "ScheduledEmbeddingTrainingHelperNextInputs", [time, outputs]):
            finished, base, state = TrainingHelper.next_inputs(
                self, time, outputs, state, sample_ids
            )
            sampled = self._embedding_fn(apply("Maximum", sample_ids, 0))
            chosen = apply("Greater", sample_ids, -1)
            return finished, rows_where(chosen, sampled, base), state


@seq2seq_export
class ScheduledOutputTrainingHelper(TrainingHelper):
    """Given inputs, replaced at random by the outputs themselves."""

    def __init__(
        self,
        inputs: Any,
        sequence_length: Any,
        sampling_probability: Any,
        time_major: bool = False,
        seed: int | None = None,
        next_inputs_fn: Callable[[Any], Any] | None = None,
        auxiliary_inputs: Any = None,
        name: str | None = None,
    ) -> None:
        if auxiliary_inputs is not None:
            raise NotImplementedError(
                "ScheduledOutputTrainingHelper(auxiliary_inputs=) is not implemented by anode"
            )
        self._probability = convert_to_tensor(sampling_probability)
        self._seed, self._next_inputs_fn = seed, next_inputs_fn
        super().__init__(inputs, sequence_length, time_major, name)

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        with name_scope(name, "ScheduledOutputTrainingHelperSample", [time, outputs]):
            drawn = public("random_uniform")([self.batch_size], seed=self._seed)
            return apply("Cast", apply("Less", drawn, self._probability), DstT="int32")

    def next_inputs(
        self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None
    ) -> Any:
        with name_scope(name, "ScheduledOutputTrainingHelperNextInputs", [time, outputs]):
            finished, base, state = TrainingHelper.next_inputs(
                self, time, outputs, state, sample_ids
            )
            own = outputs if self._next_inputs_fn is None else self._next_inputs_fn(outputs)
            return finished, rows_where(apply("Equal", sample_ids, 1), own, base), state


_BY_LENGTH = (
    TrainingHelper.next_inputs,
    ScheduledEmbeddingTrainingHelper.next_inputs,
    ScheduledOutputTrainingHelper.next_inputs,
)


def _embedding(embedding: Any) -> Callable[[Any], Any]:
    """A function from ids to rows."""
    if callable(embedding) and not hasattr(embedding, "dtype"):
        return embedding
    look = public("nn.embedding_lookup")

    def rows(ids: Any) -> Any:
        return look(embedding, ids)

    return rows


@seq2seq_export
class GreedyEmbeddingHelper(Helper):
    """The next input is the embedding of the most likely symbol; `end_token` finishes a row."""

    def __init__(self, embedding: Any, start_tokens: Any, end_token: Any) -> None:
        self._embedding_fn = _embedding(embedding)
        self._start_tokens = convert_to_tensor(start_tokens, "int32", name="start_tokens")
        self._end_token = convert_to_tensor(end_token, "int32", name="end_token")
        if self._start_tokens.shape.rank != 1:
            raise ValueError("start_tokens must be a vector")
        if self._end_token.shape.rank != 0:
            raise ValueError("end_token must be a scalar")
        self._batch_size = apply("Size", self._start_tokens)
        self._start_inputs = self._embedding_fn(self._start_tokens)

    @property
    def batch_size(self) -> Any:
        return self._batch_size

    def initialize(self, name: str | None = None) -> tuple[Any, Any]:
        finished = apply("Less", self._start_tokens, self._start_tokens)  # nobody yet
        return finished, self._start_inputs

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        return _argmax(outputs)

    def next_inputs(
        self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None
    ) -> Any:
        finished = apply("Equal", sample_ids, self._end_token)
        return finished, self._embedding_fn(sample_ids), state


@seq2seq_export
class SampleEmbeddingHelper(GreedyEmbeddingHelper):
    """The next input is the embedding of a symbol drawn by its probability."""

    def __init__(
        self,
        embedding: Any,
        start_tokens: Any,
        end_token: Any,
        softmax_temperature: Any = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(embedding, start_tokens, end_token)
        self._temperature, self._seed = softmax_temperature, seed

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        logits = outputs if self._temperature is None else outputs / self._temperature
        return _categorical(logits, self._seed)


@seq2seq_export
class InferenceHelper(Helper):
    """A helper for outputs that are fed back by functions."""

    def __init__(
        self,
        sample_fn: Callable[[Any], Any],
        sample_shape: Any,
        sample_dtype: Any,
        start_inputs: Any,
        end_fn: Callable[[Any], Any],
        next_inputs_fn: Callable[[Any], Any] | None = None,
    ) -> None:
        self._sample_fn, self._end_fn = sample_fn, end_fn
        self._shape, self._dtype = TensorShape(sample_shape), as_dtype(sample_dtype)
        self._next_inputs_fn = next_inputs_fn
        self._start_inputs = convert_to_tensor(start_inputs, name="start_inputs")
        self._batch_size = apply("Shape", self._start_inputs)[0]

    @property
    def batch_size(self) -> Any:
        return self._batch_size

    @property
    def sample_ids_shape(self) -> Any:
        return self._shape

    @property
    def sample_ids_dtype(self) -> Any:
        return self._dtype

    def initialize(self, name: str | None = None) -> tuple[Any, Any]:
        finished = apply("Fill", apply("ExpandDims", self._batch_size, 0), False)
        return finished, self._start_inputs

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        return self._sample_fn(outputs)

    def next_inputs(
        self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None
    ) -> Any:
        own = sample_ids if self._next_inputs_fn is None else self._next_inputs_fn(sample_ids)
        return self._end_fn(sample_ids), own, state
