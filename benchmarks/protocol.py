"""What a contestant's process speaks: one JSON object a line, requests on stdin, replies on stdout.

    start            -> {"version", "import_cpu_s", "import_wall_s"}
    {"build": {...}} -> {"first_step_s", "compile_s", "losses"}
                                                      the model is built, its first steps are run;
                                                      compile_s: what the first took beyond others
    {"run": n}       -> {"step_s": [...]}             seconds of each of n steps, and the last loss
    {"stats": true}  -> {"peak_mb"}                   the process's peak resident memory
    anything failing -> {"error"}, and the process ends

Only the standard library is imported before the contestant's own imports: these are timed whole.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat, TextIO

if TYPE_CHECKING:
    from benchmarks.models import MLP, Layers
    from benchmarks.nets import Arrays, Net

# One synchronised training step on (images, labels); its loss is read later with float().
Step = Callable[[Any, Any], SupportsFloat]
# A contestant's constructor of that step from a model and its initial weights.
Build = Callable[["MLP", "Layers"], Step]
NetBuild = Callable[["Net", "Arrays"], Step]
GanBuild = Callable[[], Step]  # with weights of its own; the step takes images alone
RecurrentBuild = Callable[[int], Step]  # of a character model over so many time steps
ScriptBuild = Callable[[str], Step]  # of a TensorFlow-1 script by its name
Reply = dict[str, Any]

CHECKED_STEPS = 5


AnyBuild = Build | NetBuild | GanBuild | RecurrentBuild | ScriptBuild


def serve(load: Callable[[], tuple[str, AnyBuild]]) -> None:
    """Answer requests until stdin closes; `load` imports the framework: version and builder."""
    replies = _private_stdout()
    try:
        for reply in _replies(load):
            print(json.dumps(reply), file=replies, flush=True)
    except Exception as error:
        print(json.dumps({"error": _sentence(error)}), file=replies, flush=True)
        raise


def _private_stdout() -> TextIO:
    """The real stdout; what frameworks print goes to stderr instead."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def _replies(load: Callable[[], tuple[str, Any]]) -> Any:
    wall, cpu = time.perf_counter(), time.process_time()
    version, build = load()
    yield {
        "version": version,
        "import_cpu_s": time.process_time() - cpu,
        "import_wall_s": time.perf_counter() - wall,
    }
    step: Callable[[], SupportsFloat] | None = None
    for line in sys.stdin:
        match json.loads(line):
            case {"build": request}:
                step, reply = _first_steps(build, request)
                yield reply
            case {"run": int(count)} if step is not None:
                yield _timed_steps(step, count)
            case {"stats": _}:
                yield {"peak_mb": peak_mb()}
            case request:
                raise ValueError(f"cannot answer {request}; build comes before run")


def _first_steps(build: Any, request: Reply) -> tuple[Callable[[], SupportsFloat], Reply]:
    model, images, labels = _loaded(request)
    start = time.perf_counter()
    train = build(*model)
    losses = [float(train(images, labels))]
    first, later = time.perf_counter() - start, []
    for _ in range(CHECKED_STEPS - 1):
        start = time.perf_counter()
        losses.append(float(train(images, labels)))
        later.append(time.perf_counter() - start)
    compiling = max(first - sorted(later)[len(later) // 2], 0.0)
    reply = {"first_step_s": first, "compile_s": compiling, "losses": losses}
    return lambda: train(images, labels), reply


def _loaded(request: Reply) -> tuple[tuple[Any, ...], Any, Any]:
    """What a builder is given (the model and its initial weights), images and labels."""
    from benchmarks import models, nets

    if "gan" in request:
        from benchmarks.gan import images

        return (), images(), None
    if "recurrent" in request:
        from benchmarks import recurrent

        return (request["recurrent"],), *recurrent.batch(request["recurrent"])
    if "script" in request:
        from benchmarks.tensorflow1 import batch as minibatch

        return (request["script"],), *minibatch(request["script"])
    path = Path(request["arrays"])
    if "net" in request:
        weights, *batch = nets.load_arrays(path)
        return (nets.NETS[request["net"]], weights), *batch
    widths, batch = tuple(request["widths"]), request["batch"]
    mlp = models.MLP(widths, batch, request["rate"], request["momentum"])
    layers, *batch = models.load_arrays(mlp, path)
    return (mlp, layers), *batch


def _timed_steps(step: Callable[[], SupportsFloat], count: int) -> Reply:
    seconds = []
    for _ in range(count):
        start = time.perf_counter_ns()
        loss = step()
        seconds.append((time.perf_counter_ns() - start) / 1e9)
    return {"step_s": seconds, "loss": float(loss)}


def peak_mb() -> float:
    """Peak resident memory of this process in MB (10^6 bytes).

    From /proc, not from getrusage: the latter also counts the parent before exec.
    """
    status = Path("/proc/self/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) * 1024 / 1e6
