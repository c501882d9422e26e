"""The command `neon`: a model that a YAML file describes, trained on a data set of neon."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from anode.errors import AnodeError, DataError

DOCUMENTATION = "Train the model that a YAML file describes."
FAILED, INTERRUPTED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; what goes wrong is one sentence on stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        run(given)
    except KeyboardInterrupt:
        print("neon: stopped", file=sys.stderr)
        return INTERRUPTED
    except (AnodeError, ImportError, OSError) as error:
        if os.environ.get("ANODE_TRACEBACK") == "full":
            raise
        print(f"neon: {error}", file=sys.stderr)
        return FAILED
    return 0


def run(arguments: Sequence[str]) -> None:
    """Train, or with --profile time, the model of the YAML file among the arguments."""
    from anode.frontends.neon.backends import gen_backend
    from anode.frontends.neon.callbacks.callbacks import Callbacks
    from anode.frontends.neon.util.argparser import NeonArgparser
    from anode.frontends.neon.util.yaml_parse import create_objects, read_yaml

    sys.argv = ["neon", *arguments]
    parser = NeonArgparser(DOCUMENTATION)
    parser.add_yaml_arg()
    args = parser.parse_args(gen_be=False)
    with args.yaml_file as file:
        root = read_yaml(file.read(), file.name)
    args.backend = args.backend if _given(arguments, "b", "backend") else root.get("backend", "cpu")
    for short, name, key, default in (
        ("e", "epochs", "epochs", 1),
        ("z", "batch_size", "batchsize", args.batch_size),
    ):
        if not _given(arguments, short, name):
            setattr(args, name, int(root.get(key, default)))
    be = gen_backend(
        backend=args.backend,
        rng_seed=args.rng_seed,
        device_id=args.device_id,
        batch_size=args.batch_size,
        datatype=args.datatype,
        stochastic_round=args.rounding,
        compat_mode=args.compat_mode,
    )
    model, cost, optimizer = create_objects(root)
    if args.model_file:
        model.load_params(args.model_file)
    train, test = load_data(root, args, be, _given(arguments, "w", "data_dir"))
    if args.verbose > 2:
        _show(args, root)
    if args.profile:
        model.benchmark(
            train,
            inference=args.profile_inference,
            cost=cost,
            optimizer=optimizer,
            niterations=args.profile_iterations,
            nskip=args.profile_iter_skip,
        )
        return
    callbacks = Callbacks(model, eval_set=test, **args.callback_args)
    model.fit(train, optimizer=optimizer, num_epochs=args.epochs, cost=cost, callbacks=callbacks)


def load_data(root: dict[str, Any], args: Any, be: Any, given: bool) -> tuple[Any, Any]:
    """The training and test iterators of the data set that a YAML file names.

    Its files are in the folder after -w or, where that is not `given`, also in the current one.
    """
    from anode.frontends.neon import data

    name = str(root.get("dataset", {}).get("name", "")).upper()
    if name == "I1K":
        return _imagenet(root["dataset"], args.data_dir, be)
    kind = getattr(data, name, None) if name else None
    if not isinstance(kind, type) or not issubclass(kind, data.Dataset):
        raise DataError(f"the YAML file names no data set of neon in dataset: name ({name!r})")
    dataset: Any = kind()  # type: ignore[call-arg]
    here = isinstance(dataset.filename, str) and os.path.exists(dataset.filename)
    if given or not here:
        dataset = kind(path=args.data_dir)  # type: ignore[call-arg]
    iterators = dataset.gen_iterators()
    return iterators["train"], iterators["valid"]


def _imagenet(dataset: dict[str, Any], folder: str, be: Any) -> tuple[Any, Any]:
    """ImageNet from the manifests in the folder i1k-extracted."""
    import numpy as np

    from anode.frontends.neon.data.aeon_shim import AeonDataLoader
    from anode.frontends.neon.data.dataloader_transformers import BGRMeanSubtract, OneHot, TypeCast

    loaders = []
    for part, index in (("train_config", "train-index.csv"), ("test_config", "val-index.csv")):
        config = dict(dataset[part], type="image,label", minibatch_size=be.bsz)
        config["manifest_filename"] = os.path.join(folder, "i1k-extracted", index)
        loader: Any = OneHot(AeonDataLoader(config), index=1, nclasses=1000)
        loader = TypeCast(loader, index=0, dtype=np.float32)
        loaders.append(BGRMeanSubtract(loader, index=0))
    return loaders[0], loaders[1]


def _given(arguments: Sequence[str], short: str, name: str) -> bool:
    """Whether an option is on the command line, in one of its forms."""
    for argument in arguments:
        word = argument.partition("=")[0]
        if word.startswith("--"):
            if len(word) > 2 and f"--{name}".startswith(word):
                return True
        elif word.startswith(f"-{short}") and word != "-eval":
            return True
    return False


def _show(args: Any, root: dict[str, Any]) -> None:
    from anode.frontends.neon.util import display_information

    display_information.display_platform_information()
    display_information.display_cpu_information()
    display_information.display_model_params(args, root)
