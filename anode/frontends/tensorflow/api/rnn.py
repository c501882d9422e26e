"""Recurrent loops over time: unrolled (static_rnn) or one compiled loop (dynamic_rnn)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends.tensorflow.api import nest
from anode.frontends.tensorflow.api import variable_scope as vs
from anode.frontends.tensorflow.api.rnn_wrappers import assert_like_rnncell
from anode.frontends.tensorflow.api.tensor_array import TensorArray
from anode.frontends.tensorflow.control import scan_op
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.graph import apply, convert_to_tensor
from anode.frontends.tensorflow.opdef import EXPORTS
from anode.frontends.tensorflow.tensor_shape import TensorShape


def rnn_export(*names: str) -> Callable[[Any], Any]:
    """Serve a function under every module that has held the recurrent loops."""
    modules = (
        "nn",
        "contrib.rnn",
        "contrib.rnn.python.ops.core_rnn",
        "contrib.rnn.python.ops.rnn",
        "python.ops.rnn",
        "python.ops.nn",
    )

    def note(thing: Any) -> Any:
        for name in names:
            for module in modules:
                EXPORTS[f"{module}.{name}"] = f"{thing.__module__}:{thing.__qualname__}"
        return thing

    return note


def swapped(x: Any) -> Tensor:
    """[batch, time, ...] as [time, batch, ...] and back."""
    x = convert_to_tensor(x)
    rank = x.shape.rank
    if rank is None or rank < 2:
        raise ValueError(f"Expected a tensor of rank 2 or more, got shape {x.shape}")
    found: Tensor = apply("Transpose", x, [1, 0, *range(2, rank)], name="transpose")
    return found


def size_at(x: Tensor, axis: int) -> Any:
    """The size of an axis: a number if it is known, else a tensor."""
    known = x.shape.as_list()[axis] if x.shape.rank is not None else None
    return apply("Shape", x)[axis] if known is None else known


def rows_where(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Rows of `yes` where the vector `mask` holds, else of `no`; scalars pass `yes`."""
    if yes.shape.rank == 0:
        return yes
    found: Tensor = apply("Select", mask, yes, no)
    found.set_shape(yes.shape.as_list() if yes.shape.rank is not None else None)
    return found


def checked_lengths(sequence_length: Any, batch: Any) -> Tensor | None:
    """Sequence lengths as an int32 vector; raises ValueError if it cannot be one per row."""
    if sequence_length is None:
        return None
    lengths = convert_to_tensor(sequence_length)
    if lengths.dtype.base_dtype.name != "int32":
        lengths = apply("Cast", lengths, DstT="int32")
    if lengths.shape.rank not in (None, 1):
        raise ValueError(
            f"sequence_length must be a vector of length batch_size, but saw shape: {lengths.shape}"
        )
    known = lengths.shape.as_list()[0] if lengths.shape.rank == 1 else None
    if known is not None and isinstance(batch, int) and known != batch:
        raise ValueError(f"sequence_length has {known} entries for a batch of {batch}")
    found: Tensor = apply("Identity", lengths, name="CheckSeqLen")
    return found


def _start(cell: Any, initial_state: Any, batch: Any, dtype: Any, inputs: Any) -> Any:
    if initial_state is not None:
        return nest.map_structure(
            lambda x: x if nest.is_composite(x) else convert_to_tensor(x), initial_state
        )
    if not dtype:
        raise ValueError("If there is no initial_state, you must give a dtype.")
    make = getattr(cell, "get_initial_state", None)
    if make is not None:
        return make(inputs=None, batch_size=batch, dtype=dtype)
    return cell.zero_state(batch, dtype)


@rnn_export("dynamic_rnn")
def dynamic_rnn(
    cell: Any,
    inputs: Any,
    sequence_length: Any = None,
    initial_state: Any = None,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[Any, Any]:
    """Outputs [batch, time, ...] of a cell over time (axes swapped if `time_major`), last state.

    Past a row's `sequence_length` outputs are zeros and the state stays. `parallel_iterations` and
    `swap_memory` are about how TensorFlow runs loops.
    """
    assert_like_rnncell("cell", cell)
    with vs.variable_scope(scope or "rnn"):
        flat = [convert_to_tensor(x) for x in nest.flatten(inputs)]
        for x in flat:
            if x.shape.rank is not None and x.shape.as_list()[-1] is None:
                raise ValueError(
                    "Input size (depth of inputs) must be accessible via shape inference, but saw "
                    "value None."
                )
        flat = flat if time_major else [swapped(x) for x in flat]
        batch = size_at(flat[0], 1)
        lengths = checked_lengths(sequence_length, batch)
        state = _start(cell, initial_state, batch, dtype, inputs)
        packed = nest.pack_sequence_as(inputs, flat)
        outputs, last = _over_time(cell, packed, state, lengths)
        if not time_major:
            outputs = nest.map_structure(swapped, outputs)
    return outputs, last


def _over_time(cell: Any, inputs: Any, state: Any, lengths: Tensor | None) -> tuple[Any, Any]:
    """The loop on time-major inputs."""
    flat = nest.flatten(inputs)
    steps = size_at(flat[0], 0)
    times = [apply("Range", 0, steps, 1)] if lengths is not None else []
    state = nest.map_structure(lambda x: _of_size(x, steps), state)
    like: list[Any] = []

    def step(carry: list[Tensor], xs: list[Tensor]) -> tuple[list[Any], list[Any]]:
        before = nest.pack_sequence_as(state, carry, expand_composites=True)
        output, after = cell(nest.pack_sequence_as(inputs, xs[: len(flat)]), before)
        nest.assert_same_structure(state, after)
        if lengths is not None:
            alive = apply("Less", xs[-1], lengths)
            output = nest.map_structure(
                lambda y: rows_where(alive, y, apply("ZerosLike", y)), output
            )
            after = nest.map_structure(lambda a, b: _kept(alive, a, b), after, before)
        like[:] = [output, after]
        new = nest.flatten(after, expand_composites=True)
        return _same_shapes(new, carry), nest.flatten(output)

    start = nest.flatten(state, expand_composites=True)
    last, outputs = scan_op(step, start, [*flat, *times], name="while")
    return (
        nest.pack_sequence_as(like[0], outputs),
        nest.pack_sequence_as(like[1], last, expand_composites=True),
    )


def _of_size(value: Any, steps: Any) -> Any:
    """A part of the state; an empty TensorArray gets an element for each step of the loop."""
    if isinstance(value, TensorArray) and value.is_empty:
        return value.sized(steps)
    return value


def _kept(alive: Tensor, new: Any, old: Any) -> Any:
    """The new state in the rows that go on; TensorArrays have no rows."""
    return new if nest.is_composite(new) else rows_where(alive, convert_to_tensor(new), old)


def _same_shapes(new: Sequence[Any], carry: Sequence[Tensor]) -> list[Tensor]:
    """The new state; raises ValueError where its shape cannot be that of the state before."""
    found = [convert_to_tensor(value) for value in new]
    for value, before in zip(found, carry, strict=True):
        if not value.shape.is_compatible_with(before.shape):
            raise ValueError(
                f"The shape of the state changes in the loop from {before.shape} to {value.shape}"
            )
    return found


@rnn_export("static_rnn", "rnn")
def static_rnn(
    cell: Any,
    inputs: Any,
    initial_state: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], Any]:
    """Outputs of a cell on a list of inputs [batch, ...], one for each time, and the last state."""
    assert_like_rnncell("cell", cell)
    if not nest.is_sequence(inputs):
        raise TypeError("inputs must be a sequence")
    if not inputs:
        raise ValueError("inputs must not be empty")
    outputs = []
    with vs.variable_scope(scope or "rnn") as opened:
        inputs = [nest.map_structure(convert_to_tensor, x) for x in inputs]
        batch = size_at(nest.flatten(inputs[0])[0], 0)
        lengths = checked_lengths(sequence_length, batch)
        state = _start(cell, initial_state, batch, dtype, inputs[0])
        for time, x in enumerate(inputs):
            if time > 0:
                opened.reuse_variables()
            output, new = cell(x, state)
            if lengths is not None:
                output, new = _masked(time, lengths, output, new, state)
            state = new
            outputs.append(output)
    return outputs, state


def _masked(time: int, lengths: Tensor, output: Any, new: Any, state: Any) -> tuple[Any, Any]:
    """Zeros and the state before in the rows that ended before `time`."""
    alive = apply("Less", time, lengths)
    output = nest.map_structure(lambda y: rows_where(alive, y, apply("ZerosLike", y)), output)
    return output, nest.map_structure(lambda a, b: rows_where(alive, a, b), new, state)


def _reversed(x: Any, lengths: Any, time_axis: int, batch_axis: int) -> Any:
    """A tensor backwards along time: each row over its own length, if lengths are given."""
    x = convert_to_tensor(x)
    if lengths is None:
        return apply("ReverseV2", x, [time_axis])
    return apply("ReverseSequence", x, lengths, seq_dim=time_axis, batch_dim=batch_axis)


@rnn_export("bidirectional_dynamic_rnn")
def bidirectional_dynamic_rnn(
    cell_fw: Any,
    cell_bw: Any,
    inputs: Any,
    sequence_length: Any = None,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """((forward, backward) outputs, (forward, backward) last states) of two cells over time."""
    assert_like_rnncell("cell_fw", cell_fw)
    assert_like_rnncell("cell_bw", cell_bw)
    axes = (0, 1) if time_major else (1, 0)
    common = {"sequence_length": sequence_length, "dtype": dtype, "time_major": time_major}

    def backwards(values: Any) -> Any:
        return nest.map_structure(lambda x: _reversed(x, sequence_length, *axes), values)

    with vs.variable_scope(scope or "bidirectional_rnn"):
        with vs.variable_scope("fw") as inner:
            forward, state_fw = dynamic_rnn(
                cell_fw, inputs, initial_state=initial_state_fw, scope=inner, **common
            )
        with vs.variable_scope("bw") as inner:
            turned = backwards(inputs)
            found, state_bw = dynamic_rnn(
                cell_bw, turned, initial_state=initial_state_bw, scope=inner, **common
            )
        backward = backwards(found)
    return (forward, backward), (state_fw, state_bw)


def _turned(inputs: Sequence[Any], lengths: Any) -> list[Any]:
    """A list over time backwards; with lengths each row over its own."""
    if lengths is None:
        return list(reversed(inputs))
    flat = [nest.flatten(x) for x in inputs]
    columns = []
    for parts in zip(*flat, strict=True):
        turned = _reversed(apply("Pack", list(parts), axis=0), lengths, 0, 1)
        columns.append(apply("Unpack", turned, num=len(inputs), axis=0))
    return [nest.pack_sequence_as(inputs[0], list(parts)) for parts in zip(*columns, strict=True)]


@rnn_export("static_bidirectional_rnn", "bidirectional_rnn")
def static_bidirectional_rnn(
    cell_fw: Any,
    cell_bw: Any,
    inputs: Any,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], Any, Any]:
    """Outputs of two cells side by side for each time, and their last states."""
    assert_like_rnncell("cell_fw", cell_fw)
    assert_like_rnncell("cell_bw", cell_bw)
    if not nest.is_sequence(inputs):
        raise TypeError("inputs must be a sequence")
    if not inputs:
        raise ValueError("inputs must not be empty")
    with vs.variable_scope(scope or "bidirectional_rnn"):
        with vs.variable_scope("fw") as inner:
            forward, state_fw = static_rnn(
                cell_fw, inputs, initial_state_fw, dtype, sequence_length, scope=inner
            )
        with vs.variable_scope("bw") as inner:
            turned = _turned(inputs, sequence_length)
            found, state_bw = static_rnn(
                cell_bw, turned, initial_state_bw, dtype, sequence_length, scope=inner
            )
    backward = _turned(found, sequence_length)
    outputs = [
        nest.map_structure(lambda a, b: apply("ConcatV2", [a, b], 1), x, y)
        for x, y in zip(forward, backward, strict=True)
    ]
    return outputs, state_fw, state_bw


def _check_stack(fw: Any, bw: Any, states_fw: Any, states_bw: Any) -> None:
    for name, cells in (("cells_fw", fw), ("cells_bw", bw)):
        if not isinstance(cells, list) or not cells:
            raise ValueError(f"{name} must be a list of one or more cells.")
    if len(fw) != len(bw):
        raise ValueError("Forward and Backward cells must have the same depth.")
    for name, states, cells in (("fw", states_fw, fw), ("bw", states_bw, bw)):
        if states is not None and (not isinstance(states, list) or len(states) != len(cells)):
            raise ValueError(f"initial_states_{name} must be a list of states (one per layer).")


@rnn_export("stack_bidirectional_rnn")
def stack_bidirectional_rnn(
    cells_fw: list[Any],
    cells_bw: list[Any],
    inputs: Any,
    initial_states_fw: Any = None,
    initial_states_bw: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], tuple[Any, ...], tuple[Any, ...]]:
    """`static_bidirectional_rnn` layer on layer: outputs, states forward, states backward."""
    _check_stack(cells_fw, cells_bw, initial_states_fw, initial_states_bw)
    states: tuple[list[Any], list[Any]] = ([], [])
    with vs.variable_scope(scope or "stack_bidirectional_rnn"):
        for i, (fw, bw) in enumerate(zip(cells_fw, cells_bw, strict=True)):
            first_fw = initial_states_fw and initial_states_fw[i]
            first_bw = initial_states_bw and initial_states_bw[i]
            with vs.variable_scope(f"cell_{i}") as inner:
                inputs, last_fw, last_bw = static_bidirectional_rnn(
                    fw, bw, inputs, first_fw, first_bw, dtype, sequence_length, scope=inner
                )
            states[0].append(last_fw)
            states[1].append(last_bw)
    return inputs, tuple(states[0]), tuple(states[1])


@rnn_export("stack_bidirectional_dynamic_rnn")
def stack_bidirectional_dynamic_rnn(
    cells_fw: list[Any],
    cells_bw: list[Any],
    inputs: Any,
    initial_states_fw: Any = None,
    initial_states_bw: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    parallel_iterations: int | None = None,
    time_major: bool = False,
    scope: Any = None,
    swap_memory: bool = False,
) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """`bidirectional_dynamic_rnn` layer on layer: outputs, states forward, states backward."""
    _check_stack(cells_fw, cells_bw, initial_states_fw, initial_states_bw)
    states: tuple[list[Any], list[Any]] = ([], [])
    with vs.variable_scope(scope or "stack_bidirectional_rnn"):
        for i, (fw, bw) in enumerate(zip(cells_fw, cells_bw, strict=True)):
            with vs.variable_scope(f"cell_{i}"):
                outputs, last = bidirectional_dynamic_rnn(
                    fw,
                    bw,
                    inputs,
                    sequence_length=sequence_length,
                    initial_state_fw=initial_states_fw and initial_states_fw[i],
                    initial_state_bw=initial_states_bw and initial_states_bw[i],
                    dtype=dtype,
                    time_major=time_major,
                )
                inputs = apply("ConcatV2", list(outputs), 2)
            states[0].append(last[0])
            states[1].append(last[1])
    return inputs, tuple(states[0]), tuple(states[1])


@rnn_export("raw_rnn")
def raw_rnn(
    cell: Any,
    loop_fn: Callable[..., Any],
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    scope: Any = None,
) -> tuple[Any, Any, Any]:
    """A loop whose inputs, outputs and end `loop_fn` decides; (TensorArrays, state, loop state).

    `loop_fn(time, output, state, loop_state)` gives (finished [batch], next input, next state,
    what to emit, next loop state); with time 0 and None it begins the loop.
    """
    assert_like_rnncell("cell", cell)
    if not callable(loop_fn):
        raise TypeError("loop_fn must be a callable")
    from anode.frontends.tensorflow.api.control_flow import while_loop

    with vs.variable_scope(scope or "rnn"):
        time = convert_to_tensor(0)
        finished, inputs, state, emit, loop_state = loop_fn(time, None, None, None)
        inputs = nest.map_structure(convert_to_tensor, inputs)
        batch = size_at(nest.flatten(inputs)[0], 0)
        like, zeros = _emitted(cell, emit, inputs, batch)
        arrays = _arrays(like, zeros)
        has_loop_state = loop_state is not None
        loop_state = loop_state if has_loop_state else convert_to_tensor(0)

        def going(time: Any, finished: Any, *_: Any) -> Any:
            return apply("LogicalNot", apply("All", finished, [0], keep_dims=False))

        def body(
            time: Any, finished: Any, inputs: Any, arrays: Any, state: Any, loop_state: Any
        ) -> Any:
            output, new = cell(inputs, state)
            later = time + 1
            ended, following, new, emit, next_loop = loop_fn(
                later, output, new, loop_state if has_loop_state else None
            )
            nest.assert_same_structure(state, new)

            def kept(old: Any, fresh: Any) -> Any:
                if nest.is_composite(fresh):
                    return fresh
                return rows_where(finished, old, convert_to_tensor(fresh))

            emit = nest.map_structure(kept, zeros, emit)
            new = nest.map_structure(kept, state, new)
            arrays = nest.map_structure(lambda ta, value: ta.write(time, value), arrays, emit)
            either = apply("LogicalOr", finished, ended)
            next_loop = loop_state if next_loop is None else next_loop
            return later, either, following, arrays, new, next_loop

        _, _, _, arrays, state, loop_state = while_loop(
            going, body, [time, finished, inputs, arrays, state, loop_state]
        )
    return arrays, state, loop_state if has_loop_state else None


def _arrays(like: Any, zeros: Any) -> Any:
    """An empty TensorArray for each part of what a raw_rnn emits, in its structure."""
    made = [
        TensorArray(z.dtype, size=0, dynamic_size=True, element_shape=z.shape)
        for z in nest.flatten(zeros)
    ]
    return nest.pack_sequence_as(like, made)


def _emitted(cell: Any, emit: Any, inputs: Any, batch: Any) -> tuple[Any, Any]:
    """The structure of what a raw_rnn emits, and zeros of it for all rows."""
    from anode.frontends.tensorflow.api.rnn_cells import zeros_for

    if emit is None:
        dtype = nest.flatten(inputs)[0].dtype.base_dtype
        sizes = cell.output_size
        return sizes, nest.map_structure(lambda size: zeros_for(size, batch, dtype), sizes)
    emit = nest.map_structure(convert_to_tensor, emit)

    def rows(value: Tensor) -> Tensor:
        dims = TensorShape(value.shape)
        return zeros_for(dims, batch, value.dtype.base_dtype)

    return emit, nest.map_structure(rows, emit)


@rnn_export("transpose_batch_time", "_transpose_batch_time")
def transpose_batch_time(x: Any) -> Any:
    """[batch, time, ...] as [time, batch, ...]; tensors of lower rank stay."""
    x = convert_to_tensor(x)
    return x if x.shape.rank is not None and x.shape.rank < 2 else swapped(x)
