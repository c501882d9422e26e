"""The command line of ngraph's scripts."""

from __future__ import annotations

import os
from argparse import SUPPRESS
from typing import Any

from anode.frontends.ngraph import transformers as ngt

try:
    import configargparse
except ImportError as error:
    raise ImportError(
        "ngraph's command lines need configargparse: pip install 'anode[neon]'"
    ) from (error)


class NgraphArgparser(configargparse.ArgumentParser):
    """A parser with the arguments of every ngraph script; ~/nervana/neon.cfg gives defaults.

    `default_overrides` is a dict of other defaults. Parsing sets the transformer of the backend
    that is asked for.
    """

    default_backend = "cpu"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._PARSED = False
        self.work_dir = os.path.join(os.path.expanduser("~"), "nervana")
        kwargs.setdefault("default_config_files", [os.path.join(self.work_dir, "neon.cfg")])
        kwargs.setdefault("add_config_file_help", False)
        self.defaults = kwargs.pop("default_overrides", {})
        super().__init__(*args, **kwargs)
        self.formatter_class = configargparse.ArgumentDefaultsHelpFormatter
        self.setup_default_args()

    def backend_names(self) -> Any:
        """The transformers that --backend may name."""
        return ngt.transformer_choices()

    def setup_default_args(self) -> None:
        """Add the arguments that every script has."""
        add = self.add_argument
        add("-c", "--config", is_config_file=True, help="file with values for these arguments")
        verbose = self.defaults.get("verbose", 1)
        add("-v", "--verbose", action="count", default=verbose, help="more output for each v")
        add("--no_progress_bar", action="store_true", help="draw no progress bar")
        self._add_runtime()
        self._add_backend()
        for flag in ("--fixed_point", "--flex_verbose"):
            add(flag, action="store_true", help=SUPPRESS)
        add("--collect_flex_data", action="store_true", default=SUPPRESS)

    def _add_runtime(self) -> None:
        group, given = self.add_argument_group("runtime"), self.defaults.get
        add = group.add_argument
        data, log = (os.path.join(self.work_dir, name) for name in ("data", "neon_log.txt"))
        output = given("output_file", "output.hdf5")
        add("-w", "--data_dir", default=data, help="where data sets lie")
        add("-o", "--output_file", default=output, help="HDF5 file of costs and losses")
        add("-t", "--num_iterations", type=int, default=2000, help="minibatches to train")
        add("--iter_interval", type=int, default=200, help="minibatches between two lines")
        add("-e", "--epochs", type=int, default=given("epochs", 10), help="passes over the data")
        add("--manifest", action="append", help="manifest files")
        add("--manifest_root", type=str, default=None, help="where relative paths of them start")
        add("-eval", "--eval_freq", type=int, default=given("eval_freq"), help="epochs between two")
        add("-l", "--log", dest="logfile", nargs="?", const=log, help="log file")
        add("-s", "--save_path", type=str, default=given("save_path"), help="file of snapshots")

    def _add_backend(self) -> None:
        add = self.add_argument_group("backend").add_argument
        names, seed = self.backend_names(), self.defaults.get("rng_seed")
        add("-z", "--batch_size", type=int, default=128, help="rows of a minibatch")
        add("-b", "--backend", choices=names, default=self.default_backend, help="transformer")
        add("-r", "--rng_seed", type=int, default=seed, metavar="SEED", help="seed of all draws")

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:
        """The arguments, with progress_bar for the absence of --no_progress_bar."""
        parsed = super().parse_args(*args, **kwargs)
        self.make_and_set_transformer_factory(parsed)
        parsed.progress_bar = not parsed.no_progress_bar
        return parsed

    def make_and_set_transformer_factory(self, args: Any) -> None:
        """Let make_transformer make what --backend names."""
        ngt.set_transformer_factory(ngt.make_transformer_factory(args.backend))
