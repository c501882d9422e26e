"""The command line that neon's scripts share.

Values come, in this order, from the command line, from the file after -c, from the default file
~/nervana/neon.cfg, from the script's `default_overrides`, and from the defaults here.
"""

from __future__ import annotations

import argparse
import inspect
import logging
import os
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from typing import Any

import numpy as np

from anode.frontends.neon import __version__

try:
    import configargparse
except ImportError as missing:
    raise ImportError(
        "NeonArgparser needs the configargparse package: pip install 'anode[neon]'"
    ) from missing

logger = logging.getLogger("neon.util.argparser")
BACKENDS = ("cpu", "gpu", "mgpu", "mkl")
FORMAT = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
PATHS = ("data_dir", "save_path", "model_file", "output_file", "logfile")
MAX_LOG = 10_000_000  # bytes before a log file begins anew


def extract_valid_args(
    args: argparse.Namespace, func: Callable[..., Any], startidx: int = 0
) -> dict[str, Any]:
    """Those of the arguments that `func` takes, without its first `startidx` parameters."""
    names = inspect.getfullargspec(func).args[startidx:]
    return {name: value for name, value in vars(args).items() if name in names}


class NeonArgparser(configargparse.ArgumentParser):
    """A parser with neon's options, to which a script adds its own.

    `default_overrides` gives options other defaults. See `parse_args`.
    """

    def __init__(self, description: str | None = None, *args: Any, **kwargs: Any) -> None:
        self._PARSED = False
        self.work_dir = os.path.join(os.path.expanduser("~"), "nervana")
        kwargs.setdefault("default_config_files", [os.path.join(self.work_dir, "neon.cfg")])
        kwargs.setdefault("add_config_file_help", False)
        self.defaults = kwargs.pop("default_overrides", {})
        super().__init__(*args, description=description, **kwargs)
        self.formatter_class = configargparse.ArgumentDefaultsHelpFormatter
        self.setup_default_args()

    def setup_default_args(self) -> None:
        """Add neon's options."""
        self.add_argument("--version", action="version", version=__version__)
        self.add_argument(
            "-c", "--config", is_config_file=True, help="file of options, as name = value"
        )
        self.add_argument(
            "-v",
            "--verbose",
            action="count",
            default=self.defaults.get("verbose", 1),
            help="show more; more v's show still more",
        )
        self.add_argument(
            "--no_progress_bar", action="store_true", help="show no progress of training"
        )
        self._add_benchmark(self.add_argument_group("benchmark"))
        self._add_runtime(self.add_argument_group("runtime"))
        self._add_backend(self.add_argument_group("backend"))

    def _add_benchmark(self, group: Any) -> None:
        group.add_argument("--profile", action="store_true", help="time steps, do not train")
        group.add_argument(
            "--profiling_method", default="time", choices=["time"], help="what to measure"
        )
        group.add_argument("--profile_inference", action="store_true", help="time inference only")
        group.add_argument("--profile_iterations", type=int, default=50, help="steps to time")
        group.add_argument("--profile_iter_skip", type=int, default=5, help="steps not to count")

    def _add_runtime(self, group: Any) -> None:
        def option(*names: str, **kwargs: Any) -> None:
            if kwargs["dest"] in self.defaults:
                kwargs["default"] = self.defaults[kwargs["dest"]]
            group.add_argument(*names, **kwargs)

        home = self.work_dir
        folder, log = os.path.join(home, "data"), os.path.join(home, "neon_log.txt")
        option("-w", "--data_dir", dest="data_dir", default=folder, help="folder of data sets")
        option("-e", "--epochs", dest="epochs", type=int, default=10, help="passes over the data")
        option("-s", "--save_path", dest="save_path", help="file to save the model in")
        option(
            "--serialize", dest="serialize", nargs="?", type=int, default=0, const=1, metavar="N",
            help="save the model every N epochs",
        )  # fmt: skip
        option("--model_file", dest="model_file", help="load the model from this file")
        option("-l", "--log", dest="logfile", nargs="?", const=log, help="log file")
        option("-o", "--output_file", dest="output_file", help="HDF5 file of costs and metrics")
        option(
            "-eval", "--eval_freq", dest="eval_freq", type=int,
            help="epochs between tests on the evaluation set",
        )  # fmt: skip
        option("-H", "--history", dest="history", type=int, default=1, help="saved files to keep")
        option("--log_token", dest="log_token", default="", help="of a service that is no more")
        option("--manifest", dest="manifest", action="append", help="name:manifest file")
        option("--manifest_root", dest="manifest_root", help="folder of the paths in manifests")

    def _add_backend(self, group: Any) -> None:
        def option(*names: str, dest: str, default: Any, **kwargs: Any) -> None:
            default = self.defaults.get(dest, default)
            group.add_argument(*names, dest=dest, default=default, **kwargs)

        option(
            "-b",
            "--backend",
            dest="backend",
            default="cpu",
            choices=BACKENDS,
            help="cpu, or mkl for the same",
        )
        option("-i", "--device_id", dest="device_id", default=0, type=int, help="of a GPU")
        option("-m", "--max_devices", dest="max_devices", default=0, type=int, help="GPUs")
        option(
            "-r",
            "--rng_seed",
            dest="rng_seed",
            default=None,
            type=int,
            metavar="SEED",
            help="seed of the random numbers",
        )
        option(
            "-u", "--rounding", dest="rounding", default=False, const=True, type=int, nargs="?",
            metavar="BITS", help="round weights stochastically, to this many bits",
        )  # fmt: skip
        option(
            "-d", "--datatype", dest="datatype", default="f32", choices=["f16", "f32", "f64"],
            metavar="default datatype", help="type of numbers",
        )  # fmt: skip
        option("-z", "--batch_size", dest="batch_size", default=128, type=int, help="batch size")
        group.add_argument(
            "--caffe", action="store_true", help="pooling sizes and dropout as in Caffe"
        )
        group.add_argument("--deterministic", action="store_true", help="deprecated: always so")

    def add_yaml_arg(self) -> None:
        """Add the positional argument of a YAML file, which is opened."""
        self.add_argument(
            "yaml_file", type=argparse.FileType("r"), help="neon model specification file"
        )

    def add_argument(self, *args: Any, **kwargs: Any) -> Any:
        """Add an option; one that comes after parsing warns once."""
        if self._PARSED:
            logger.warning("options are added after parsing; parse_args is needed again")
            self._PARSED = False
        return super().add_argument(*args, **kwargs)

    def parse_args(self, gen_be: bool = True) -> argparse.Namespace:
        """Parse the command line, set up logging and, with `gen_be`, the backend.

        The result also has `callback_args`, the arguments of Callbacks; `log_thresh`,
        `progress_bar`, `compat_mode` and `stochastic_round`. `datatype` is a NumPy type.
        """
        args = super().parse_args()
        for name in PATHS:
            if getattr(args, name):
                setattr(args, name, os.path.expanduser(getattr(args, name)))
        args.log_thresh = max(10, 40 - 10 * int(args.verbose or 1))
        args.progress_bar = not args.no_progress_bar
        _set_up_logging(args)
        if args.backend in ("gpu", "mgpu"):
            self.error(
                f"argument -b: anode runs neon on the CPU, not on {args.backend}; use -b cpu"
            )
        if args.backend == "mkl":
            logger.warning("-b mkl computes as -b cpu does")
        args.datatype = np.dtype(f"float{args.datatype[1:]}").type
        args.compat_mode = "caffe" if args.caffe else None
        args.stochastic_round = args.rounding
        _check_files(args)
        if args.deterministic:
            logger.warning("--deterministic is deprecated: runs with a seed (-r) are deterministic")
        if args.manifest:
            args.manifest = dict(self._pair(text) for text in args.manifest)
        if gen_be:
            _make_backend(args)
        logger.info(self.format_values())
        self._PARSED, self.args = True, args
        from anode.frontends.neon.callbacks.callbacks import Callbacks

        args.callback_args = extract_valid_args(args, Callbacks.__init__, startidx=1)
        return args

    def _pair(self, text: str) -> tuple[str, str]:
        name, colon, path = text.partition(":")
        if not colon:
            self.error(f"argument --manifest: {text!r} is not name:path")
        return name, path


def _set_up_logging(args: argparse.Namespace) -> None:
    """Log from `log_thresh` on to stderr, or to the file after -l, and then errors to stderr."""
    parent = logging.getLogger("neon")
    parent.setLevel(args.log_thresh)
    parent.propagate = False
    console: logging.Handler = logging.StreamHandler()
    console.setLevel(args.log_thresh)
    handlers = [console]
    if args.logfile:
        file = RotatingFileHandler(args.logfile, mode="w", maxBytes=MAX_LOG, backupCount=5)
        file.setLevel(args.log_thresh)
        handlers.append(file)
        if args.progress_bar:
            console.setLevel(logging.ERROR)
    for handler in handlers:
        handler.setFormatter(logging.Formatter(FORMAT))
    for old in parent.handlers:
        old.close()
    parent.handlers = handlers


def _check_files(args: argparse.Namespace) -> None:
    """Complete and check the options of saving and loading; OSError where they cannot work."""
    if args.save_path:
        folder = os.path.dirname(os.path.abspath(args.save_path))
        os.makedirs(folder, exist_ok=True)
        if os.path.exists(args.save_path):
            logger.warning("save file %s exists, attempting to overwrite", args.save_path)
            if not os.access(args.save_path, os.R_OK | os.W_OK):
                raise OSError(f"Can not write to save_path file {args.save_path}")
    if (args.serialize or 0) > 0 and args.save_path is None:
        args.save_path = "neon_model.pkl"
        logger.warning('No path given for model serialization, using default "%s"', args.save_path)
    if args.save_path is not None and args.serialize == 0:
        args.serialize = 1
        logger.warning("No schedule given for model serialization, using default 1")
    if args.model_file and not os.access(args.model_file, os.R_OK):
        raise OSError(f"Model file {args.model_file} is not there or cannot be read")


def _make_backend(args: argparse.Namespace) -> None:
    from anode.frontends.neon.backends import gen_backend

    gen_backend(
        backend=args.backend,
        rng_seed=args.rng_seed,
        device_id=args.device_id,
        batch_size=args.batch_size,
        datatype=args.datatype,
        stochastic_round=args.rounding,
        max_devices=args.max_devices,
        compat_mode=args.compat_mode,
    )
