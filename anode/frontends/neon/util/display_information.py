"""What a run is made of, shown: its parameters, processor and platform."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from typing import Any

from anode.frontends.neon import logger as neon_logger

RULE = "-" * 40


def add_param_to_output(output_string: str, param_name: str, param: Any) -> str:
    """The text with a line for one more parameter."""
    return f"{output_string}{param_name:>25}: {param}\n"


def display_model_params(neon_args: Any, neon_root_yaml: dict[str, Any]) -> None:
    """Show the parameters of a run of a YAML model."""
    optimizer = neon_root_yaml.get("optimizer", {})
    config = optimizer.get("config", {})
    _display(
        "HYPER PARAMETERS",
        [
            ("backend", neon_args.backend),
            ("batch size", neon_args.batch_size),
            ("epochs", neon_args.epochs),
            ("optimizer type", optimizer.get("type")),
            ("learning rate", config.get("learning_rate")),
            ("momentum coef", config.get("momentum_coef")),
        ],
    )


def display_cpu_information() -> None:
    """Show the processor."""
    found = [("architecture", platform.machine()), ("cores", os.cpu_count())]
    _display("CPU", [("brand", platform.processor() or "unknown"), *found])


def display_platform_information() -> None:
    """Show the operating system and Python."""
    _display(
        "PLATFORM & OS",
        [
            ("OS", platform.platform()),
            ("OS release version", platform.version()),
            ("machine", platform.machine()),
            ("node", platform.node()),
            ("python version", platform.python_version()),
        ],
    )


def _display(title: str, lines: Iterable[tuple[str, Any]]) -> None:
    text = f"\n{f'-- INFORMATION: {title} ':-<40}\n"
    for name, value in lines:
        text = add_param_to_output(text, name, value)
    neon_logger.display(text + RULE)
