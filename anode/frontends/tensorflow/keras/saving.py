"""Models and weights in files: Keras's layout of HDF5, and TensorFlow's checkpoints."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from anode.frontends.tensorflow.formats import checkpoint
from anode.frontends.tensorflow.keras import state
from anode.frontends.tensorflow.keras.layer import load
from anode.frontends.tensorflow.opdef import export

HDF5_NAMES = (".h5", ".keras", ".hdf5")
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def _h5py() -> Any:
    try:
        return import_module("h5py")
    except ImportError as error:
        raise ImportError(
            "`save_model`, `load_model` and weights in HDF5 need the package h5py: pip install h5py"
        ) from error


def _is_hdf5(path: str, save_format: str | None) -> bool:
    if save_format is None:
        return path.endswith(HDF5_NAMES)
    if save_format.lower() in ("h5", "hdf5", "keras"):
        return True
    if save_format.lower() in ("tf", "tensorflow"):
        return False
    raise ValueError(f'Unknown format "{save_format}". Was expecting one of {{"tf", "h5"}}.')


def _may_write(path: str, overwrite: bool) -> bool:
    if overwrite or not os.path.exists(path):
        return True
    answer = ""
    while answer not in ("y", "n"):
        answer = input(f"[WARNING] {path} already exists - overwrite? [y/n]").strip().lower()
    return answer == "y"


# HDF5


def _write_weights(group: Any, layers: Sequence[Any]) -> None:
    group.attrs["layer_names"] = [layer.name.encode() for layer in layers]
    group.attrs["backend"] = b"tensorflow"
    group.attrs["keras_version"] = b"2.2.4-tf"
    for layer in layers:
        own = group.create_group(layer.name)
        weights = layer.weights
        _write_arrays(own, weights)


def _write_arrays(group: Any, weights: Sequence[Any]) -> None:
    values = state.get_session().run(list(weights)) if weights else []
    group.attrs["weight_names"] = [weight.name.encode() for weight in weights]
    for weight, value in zip(weights, values, strict=True):
        group.create_dataset(weight.name, data=value)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _stored(group: Any) -> list[Any]:
    return [np.asarray(group[_text(name)]) for name in group.attrs["weight_names"]]


def _read_weights(group: Any, layers: Sequence[Any]) -> None:
    """Weights by the order of layers that have some."""
    names = [_text(n) for n in group.attrs["layer_names"]]
    stored = [group[n] for n in names if len(group[n].attrs["weight_names"])]
    filled = [layer for layer in layers if layer.weights]
    if len(stored) != len(filled):
        raise ValueError(
            f"You are trying to load a weight file containing {len(stored)} layers into a model "
            f"with {len(filled)} layers."
        )
    pairs = []
    for layer, own in zip(filled, stored, strict=True):
        pairs += _matched(layer, _stored(own))
    load(pairs)


def _matched(layer: Any, values: Sequence[Any]) -> list[tuple[Any, Any]]:
    weights = layer.weights
    if len(weights) != len(values):
        raise ValueError(
            f'Layer "{layer.name}" expects {len(weights)} weights, but the saved weights have '
            f"{len(values)} elements."
        )
    for weight, value in zip(weights, values, strict=True):
        if tuple(weight.shape.as_list()) != value.shape:
            raise ValueError(
                f'Layer "{layer.name}": the weight {weight.name} has shape {weight.shape}, but the '
                f"saved weight has shape {value.shape}."
            )
    return list(zip(weights, values, strict=True))


def _read_by_name(group: Any, layers: Sequence[Any]) -> None:
    pairs = []
    for name in (_text(n) for n in group.attrs["layer_names"]):
        values = _stored(group[name])
        for layer in layers:
            if layer.name == name and values:
                pairs += _matched(layer, values)
    load(pairs)


@export("keras.models.save_model")
def save_model(
    model: Any,
    filepath: Any,
    overwrite: bool = True,
    include_optimizer: bool = True,
    save_format: str | None = None,
    signatures: Any = None,
    options: Any = None,
) -> None:
    """Write architecture, weights and training state to an HDF5 file."""
    if hasattr(filepath, "create_group"):
        _write_model(filepath, model, include_optimizer)
        return
    path = os.fspath(filepath)
    if save_format is not None and not _is_hdf5(path, save_format):
        raise NotImplementedError(
            "save_model: the SavedModel format is not implemented by anode; use save_format='h5'"
        )
    if not _may_write(path, overwrite):
        return
    with _h5py().File(path, "w") as file:
        _write_model(file, model, include_optimizer)


def _write_model(file: Any, model: Any, include_optimizer: bool) -> None:
    from anode.frontends.tensorflow.keras.configuration import json_default

    def text(value: Any) -> bytes:
        return json.dumps(value, default=json_default).encode()

    config = {"class_name": type(model).__name__, "config": model.get_config()}
    file.attrs["keras_version"] = b"2.2.4-tf"
    file.attrs["backend"] = b"tensorflow"
    file.attrs["model_config"] = text(config)
    _write_weights(file.create_group("model_weights"), model.layers)
    optimizer = model.optimizer
    if not include_optimizer or optimizer is None or not model._compiled:
        return
    if not hasattr(optimizer, "_hyper"):
        return  # one of tf.train: Keras cannot save it either
    file.attrs["training_config"] = text(_training_config(model))
    weights = [w for w in optimizer.weights if w.op in state.get_session().variables]
    if weights:
        _write_arrays(file.create_group("optimizer_weights"), weights)


def _training_config(model: Any) -> dict[str, Any]:
    return {
        "loss": model.loss,
        "metrics": model._compile_metrics,
        "weighted_metrics": model._compile_weighted_metrics,
        "sample_weight_mode": model.sample_weight_mode,
        "loss_weights": model.loss_weights,
        "optimizer_config": {
            "class_name": type(model.optimizer).__name__,
            "config": model.optimizer.get_config(),
        },
    }


@export("keras.models.load_model")
def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True) -> Any:
    """A model from an HDF5 file, compiled as it was."""
    if hasattr(filepath, "create_group"):
        return _read_model(filepath, custom_objects, compile)
    path = os.fspath(filepath)
    if os.path.isdir(path):
        raise NotImplementedError(f"{path}: load_model reads HDF5 files, not SavedModels")
    if not os.path.exists(path):
        raise OSError(
            f"SavedModel file does not exist at: {path}/{{saved_model.pbtxt|saved_model.pb}}"
        )
    with _h5py().File(path, "r") as file:
        return _read_model(file, custom_objects, compile)


def _read_model(file: Any, custom_objects: Any, compile: bool) -> Any:
    from anode.frontends.tensorflow.keras import optimizers
    from anode.frontends.tensorflow.keras.configuration import model_from_config

    if "model_config" not in file.attrs:
        raise ValueError("No model found in config file.")
    model = model_from_config(json.loads(_text(file.attrs["model_config"])), custom_objects)
    _read_weights(file["model_weights"], model.layers)
    if not compile or "training_config" not in file.attrs:
        return model
    config = json.loads(_text(file.attrs["training_config"]))
    with state.custom_object_scope(custom_objects or {}):
        optimizer = optimizers.deserialize(config["optimizer_config"], custom_objects)
        model.compile(
            optimizer=optimizer,
            loss=_given(config["loss"], custom_objects),
            metrics=_given(config.get("metrics"), custom_objects),
            weighted_metrics=_given(config.get("weighted_metrics"), custom_objects),
            loss_weights=config["loss_weights"],
            sample_weight_mode=config["sample_weight_mode"],
        )
        model._endpoints_once()
    if "optimizer_weights" in file:
        model._step("train", (None,) * sum(o.loss is not None for o in model._endpoints_once()))
        optimizer.set_weights(_stored(file["optimizer_weights"]))
    return model


def _given(value: Any, custom: Mapping[str, Any] | None) -> Any:
    """Losses and metrics as written, the script's own by their names."""
    if isinstance(value, (list, tuple)):
        return [_given(item, custom) for item in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {k: _given(v, custom) for k, v in value.items()}
    known = {**state.get_custom_objects(), **(custom or {})}
    return known.get(value, value) if isinstance(value, str) else value


# weights


def save_weights(model: Any, filepath: Any, overwrite: bool, save_format: str | None) -> None:
    """Write weights: HDF5 by the name or format, else a checkpoint by the places of objects."""
    path = os.fspath(filepath)
    if not model.built:
        raise ValueError("Weights for the model have not been created yet: build it first.")
    if _is_hdf5(path, save_format):
        if _may_write(path, overwrite):
            with _h5py().File(path, "w") as file:
                _write_weights(file, model.layers)
        return
    names = _object_names(model)
    values = state.get_session().run(list(names.values()))
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    checkpoint.write(path, {k: np.asarray(v) for k, v in zip(names, values, strict=True)})
    from anode.frontends.tensorflow.api.checkpoints import update_checkpoint_state

    update_checkpoint_state(folder or ".", path, [path])


def _object_names(model: Any) -> dict[str, Any]:
    """The names of weights in a checkpoint of objects: layers with weights are counted."""
    found = {}
    filled = [layer for layer in model.layers if layer.weights]
    for i, layer in enumerate(filled):
        used: dict[str, int] = {}
        for weight in layer.weights:
            last = weight.op.name.rpartition("/")[2]
            used[last] = used.get(last, 0) + 1
            if used[last] > 1:
                last = f"{last}_{used[last] - 1}"
            found[f"layer_with_weights-{i}/{last}{VALUE}"] = weight
    return found


def load_weights(model: Any, filepath: Any, by_name: bool) -> Any:
    """Read weights from an HDF5 file or a checkpoint."""
    path = os.fspath(filepath)
    if not os.path.exists(path) and os.path.exists(path + ".index"):
        if by_name:
            raise NotImplementedError(
                "Weights may only be loaded based on topology into Models when loading "
                "TensorFlow-formatted weights (got by_name=True to load_weights)."
            )
        return _load_checkpoint(model, path)
    if not os.path.exists(path):
        raise OSError(f"Unable to open file (unable to open file: name = '{path}')")
    if not model.built:
        raise ValueError(
            "Unable to load weights saved in HDF5 format into a subclassed Model which has not "
            "created its variables yet. Call the Model first, then load the weights."
        )
    with _h5py().File(path, "r") as file:
        group = file
        if "layer_names" not in file.attrs and "model_weights" in file:
            group = file["model_weights"]
        (_read_by_name if by_name else _read_weights)(group, model.layers)
    return None


def _load_checkpoint(model: Any, path: str) -> None:
    from anode.frontends.tensorflow.api.checkpoints import NewCheckpointReader

    reader = NewCheckpointReader(path)
    pairs = []
    for name, weight in _object_names(model).items():
        if not reader.has_tensor(name):
            raise ValueError(f"{path}: the checkpoint has no {name}")
        pairs.append((weight, reader.get_tensor(name)))
    load(pairs)
