"""The contestants, and the virtual environment each one runs in."""

from __future__ import annotations

import subprocess
import sys
import venv
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path.home() / ".cache" / "anode-bench"
STAMP = "requirements.txt"  # what an environment was made with


class ContestantError(Exception):
    """A contestant that cannot be installed, started or run; the message is one sentence."""


@dataclass(frozen=True)
class Contestant:
    """A framework's way to run the step, and what it needs.

    `variables` are set in its process, `{cache}` in a value being the folder that is empty for a
    cold and full for a warm first step. `source` is a folder of ours that counts as installed.
    """

    name: str
    module: str
    environment: str
    requirements: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    source: Path | None = None
    alone: tuple[str, ...] = ()  # packages without what they require, under its other name


NUMPY = "numpy==2.4.*"
# The +cpu version is asked for by name because the plain one brings gigabytes of CUDA on Linux.
TORCH = ("torch==2.13.0+cpu", NUMPY)
CONTESTANTS = (
    Contestant(
        "anode",
        "anode_mlp",
        "anode",
        ("--editable", str(ROOT)),
        variables=(("ANODE_CACHE", "{cache}"),),
        source=ROOT / "anode",
    ),
    Contestant(
        "jax",
        "jax_mlp",
        "jax",
        ("jax==0.10.2", "jaxlib==0.10.2", NUMPY),
        variables=(
            ("JAX_COMPILATION_CACHE_DIR", "{cache}"),
            ("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0"),
            ("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1"),
        ),
    ),
    Contestant("torch", "torch_mlp", "torch", TORCH),
    Contestant(
        "torch.compile",
        "torch_mlp",
        "torch",
        TORCH,
        arguments=("--compile",),
        variables=(("TORCHINDUCTOR_CACHE_DIR", "{cache}"),),
    ),
    Contestant(
        "tensorflow",
        "tensorflow_mlp",
        "tensorflow",
        (
            "tensorflow-cpu==2.21.*; platform_machine == 'x86_64'",
            "tensorflow==2.21.*; platform_machine != 'x86_64'",
            NUMPY,
        ),
        alone=("tf_keras==2.21.*",),  # it requires `tensorflow`, which `tensorflow-cpu` is, too
    ),
    Contestant("numpy", "numpy_mlp", "numpy", (NUMPY,)),
)

WITH_ONEDNN = (*CONTESTANTS[0].requirements, "onednn-cpu-gomp==2023.2.0")
NET_CONTESTANTS = (
    replace(
        CONTESTANTS[0], module="anode_nets", environment="anode-onednn", requirements=WITH_ONEDNN
    ),
    replace(
        CONTESTANTS[0],
        name="anode bf16",
        module="anode_nets",
        environment="anode-onednn",
        requirements=WITH_ONEDNN,
        arguments=("--bf16",),
    ),
    Contestant("torch", "torch_nets", "torch", TORCH),
    Contestant("torch nhwc", "torch_nets", "torch", TORCH, ("--channels-last",)),
    Contestant("torch nhwc bf16", "torch_nets", "torch", TORCH, ("--channels-last", "--bf16")),
    *(
        Contestant(
            f"torch.compile{' nhwc' if layout else ''}",
            "torch_nets",
            "torch",
            TORCH,
            ("--compile", *layout),
            (("TORCHINDUCTOR_CACHE_DIR", "{cache}"),),
        )
        for layout in ((), ("--channels-last",))
    ),
)


def prepare(contestant: Contestant) -> Path:
    """The Python of the contestant's environment, created when missing or of other requirements.

    Raises ContestantError when something cannot be installed.
    """
    folder, python = CACHE / contestant.environment, _python(contestant)
    if not installed(contestant):
        print(f"installing {contestant.name} into {folder}", file=sys.stderr)
        venv.create(folder, clear=True, symlinks=True)
        _install(contestant, python, *contestant.requirements)
        if contestant.alone:
            _install(contestant, python, "--no-deps", *contestant.alone)
        (folder / STAMP).write_text(_requirements(contestant))
    return python


def installed(contestant: Contestant) -> Path | None:
    """The Python of the contestant's environment if that is there, with these requirements."""
    stamp = CACHE / contestant.environment / STAMP
    same = stamp.exists() and stamp.read_text() == _requirements(contestant)
    return _python(contestant) if same else None


def _python(contestant: Contestant) -> Path:
    return CACHE / contestant.environment / "bin" / "python"


def _requirements(contestant: Contestant) -> str:
    return "\n".join((sys.version, *contestant.requirements, *contestant.alone))


def _install(contestant: Contestant, python: Path, *wanted: str) -> None:
    """Install with this interpreter's pip, so that the environment holds only the requirements."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    done = subprocess.run([*pip, *wanted], capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = (errors or done.stderr.splitlines() or ["no message"])[-1]
        raise ContestantError(f"{contestant.name} cannot be installed: {reason}")


def installed_bytes(contestant: Contestant) -> int:
    """Bytes of all files in the environment, bytecode included; Python itself is only linked there.

    Not site-packages alone: some wheels put their libraries beside it.
    """
    folders = [CACHE / contestant.environment, contestant.source]
    files = (file for folder in folders if folder for file in folder.rglob("*"))
    return sum(file.lstat().st_size for file in files if file.is_file() and not file.is_symlink())
