"""The benchmark harness: its arithmetic, its protocol and its oracle; nothing is timed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anode.inspect import peak
from benchmarks.contestants.numpy_mlp import gradients
from benchmarks.environments import CONTESTANTS, ROOT, ContestantError
from benchmarks.measure import Row, expected_losses
from benchmarks.models import MLP, batch_of, initial_layers, load_arrays, save_arrays, step_flops
from benchmarks.process import ContestantProcess
from benchmarks.report import model_table

TINY = MLP((6, 5, 4, 3), batch=7, rate=0.1)


def test_step_flops_count_three_products_a_layer_but_two_for_the_first() -> None:
    assert step_flops(TINY) == 2 * 7 * (2 * 6 * 5 + 3 * 5 * 4 + 3 * 4 * 3)


def test_arrays_file_round_trips(tmp_path: Path) -> None:
    save_arrays(TINY, tmp_path / "arrays.npz")
    layers, images, labels = load_arrays(TINY, tmp_path / "arrays.npz")
    for loaded, made in zip(layers, initial_layers(TINY), strict=True):
        assert all(map(np.array_equal, loaded, made))
    assert images.dtype == np.float32
    assert np.array_equal(labels, batch_of(TINY)[1])


def test_numpy_gradients_match_finite_differences() -> None:
    layers = [(w.astype(float), b.astype(float) + 0.1) for w, b in initial_layers(TINY)]
    images, labels = batch_of(TINY)
    _, found = gradients(layers, images, labels)
    for layer, gradient in zip(layers, found, strict=True):
        for array, exact in zip(layer, gradient, strict=True):
            numeric = np.empty_like(array)
            for index in np.ndindex(array.shape):
                value, losses = array[index], []
                for step in (1e-5, -1e-5):
                    array[index] = value + step
                    losses.append(gradients(layers, images, labels)[0])
                array[index] = value
                numeric[index] = (losses[0] - losses[1]) / 2e-5
            np.testing.assert_allclose(exact, numeric, rtol=1e-5, atol=1e-8)


def talk(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    """The replies of the NumPy contestant to the requests."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.contestants.numpy_mlp"],
        input="\n".join(map(json.dumps, requests)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_numpy_contestant_speaks_the_protocol(tmp_path: Path) -> None:
    save_arrays(TINY, tmp_path / "arrays.npz")
    build = {**vars(TINY), "arrays": str(tmp_path / "arrays.npz")}
    started, built, ran, stats = talk({"build": build}, {"run": 3}, {"stats": True})
    assert started["version"] == np.__version__
    np.testing.assert_allclose(built["losses"], expected_losses(TINY), rtol=1e-5)
    assert len(ran["step_s"]) == 3
    assert ran["loss"] < built["losses"][-1]
    assert stats["peak_mb"] > 1


def test_a_contestant_that_fails_says_why() -> None:
    replies = talk({"run": 3})
    assert replies[-1]["error"].startswith("ValueError: cannot answer {'run': 3}")


@pytest.mark.parametrize("error", [2e-4, float("nan")])
def test_a_row_with_other_losses_is_flagged(error: float) -> None:
    rows = [Row("numpy", round_s=[1e-3]), Row("other", round_s=[2e-3], loss_error=error)]
    text = model_table("tiny", TINY, rows, "numpy", {"fma_gflops": [100.0]})
    assert next(line for line in text.splitlines() if "WRONG" in line).startswith("| other")
    assert text.count("agree") == 1


def test_ratios_are_taken_round_by_round() -> None:
    slow, fast = Row("slow", round_s=[4.0, 3.0, 9.0]), Row("fast", round_s=[2.0, 1.0, 3.0])
    assert slow.ratio(fast) == 3.0


def test_a_busy_machine_is_said_to_be_busy() -> None:
    quiet = peak.describe({"fma_gflops": [100.0, 195.0], "copy_gbs": [20.0, 25.0]})
    busy = peak.describe({"fma_gflops": [100.0, 120.0], "copy_gbs": [20.0, 25.0]})
    assert len(quiet.splitlines()) == 2
    assert "2 threads reach 1.2 times one thread's peak" in busy


def test_a_skipped_contestant_is_one_sentence() -> None:
    rows = [Row("absent", "absent cannot be installed: no wheel"), Row("numpy", round_s=[1e-3])]
    text = model_table("tiny", TINY, rows, "absent", {"fma_gflops": [100.0]})
    assert text.endswith("Skipped: absent cannot be installed: no wheel")
    assert "/ numpy" in text


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ContestantProcess]:
    """The NumPy contestant, run by this interpreter."""
    contestant = next(found for found in CONTESTANTS if found.name == "numpy")
    with ContestantProcess(contestant, Path(sys.executable), tmp_path / "cache", 1) as process:
        yield process


def test_a_failing_request_raises_the_contestants_sentence(process: ContestantProcess) -> None:
    with pytest.raises(ContestantError, match="numpy failed with ValueError: cannot answer"):
        process.ask(run=3)


def test_a_process_that_was_killed_is_a_contestant_that_failed(process: ContestantProcess) -> None:
    process._process.kill()
    process._process.wait()
    with pytest.raises(ContestantError, match="numpy failed with exit status -9"):
        process.ask(run=3)


def test_the_float64_oracle_learns() -> None:
    losses = expected_losses(TINY)
    assert losses[-1] < losses[0]
