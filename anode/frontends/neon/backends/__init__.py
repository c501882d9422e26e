"""Backends: `gen_backend` makes the one that everything of neon computes with."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.neon import NervanaObject, logger
from anode.frontends.neon.backends.autodiff import Autodiff
from anode.frontends.neon.backends.backend import Backend
from anode.frontends.neon.backends.nervanacpu import NervanaCPU
from anode.frontends.neon.backends.nervanamkl import NervanaMKL

__all__ = ["Autodiff", "NervanaCPU", "NervanaMKL", "cleanup_backend", "gen_backend"]


def gen_backend(
    backend: str = "cpu",
    rng_seed: int | None = None,
    datatype: Any = np.float32,
    batch_size: int = 0,
    stochastic_round: Any = False,
    device_id: int = 0,
    max_devices: int = 1,
    compat_mode: str | None = None,
    deterministic_update: bool | None = None,
    deterministic: bool | None = None,
) -> Backend:
    """Make the backend called "cpu", "mkl" or "gpu" the one that all objects have as `be`.

    anode's neon computes on the processor whatever the name; "gpu" says so.
    """
    if deterministic_update is not None or deterministic is not None:
        logger.warning(
            "deterministic_update and deterministic args are deprecated in favor of "
            "specifying random seed"
        )
    if backend == "gpu":
        logger.display("backend gpu: anode's neon has no GPU backend; it computes on the processor")
        backend = "cpu"
    be = Backend.allocate_backend(
        backend,
        rng_seed=rng_seed,
        default_dtype=datatype,
        stochastic_round=stochastic_round,
        device_id=device_id,
        num_devices=max_devices,
        compat_mode=compat_mode,
    )
    logger.info("Backend: %s, RNG seed: %s", backend, rng_seed)
    NervanaObject.be = be
    be.bsz = batch_size
    return be


def cleanup_backend() -> None:
    """Let go of the backend."""
    NervanaObject.be = None  # type: ignore[assignment]
