"""Export of an estimator's model for serving, and when train_and_evaluate does it."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.estimator.spec import (
    ClassificationOutput,
    ModeKeys,
    RegressionOutput,
)
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

log = logging.getLogger("tensorflow")


def _new_folder(base: str) -> str:
    """A folder named by the time in seconds that is not there yet."""
    stamp = int(time.time())
    while os.path.exists(os.path.join(base, str(stamp))):
        stamp += 1
    return os.path.join(base, str(stamp))


def signatures(outputs: Mapping[str, Any], receiver: Any) -> dict[str, Any]:
    """SignatureDefs by name; those that the inputs do not fit are left out."""
    found: dict[str, Any] = {}
    sets = {None: receiver.receiver_tensors, **(receiver.receiver_tensors_alternatives or {})}
    for prefix, tensors in sets.items():
        for key, output in outputs.items():
            name = key if prefix is None else f"{prefix}:{key}"
            try:
                found[name] = output.as_signature_def(tensors)
            except ValueError as error:
                log.info("Export includes no signature %s: %s", name, error)
    return found


def _log_signatures(outputs: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    names: dict[str, list[str]] = {"Classify": [], "Regress": [], "Predict": []}
    for key in found:
        output = outputs.get(key)
        classifies = isinstance(output, ClassificationOutput)
        kind = "Regress" if isinstance(output, RegressionOutput) else "Predict"
        names["Classify" if classifies else kind].append(key)
    for kind in ("Classify", "Regress", "Predict", "Train", "Eval"):
        text = names.get(kind) or None
        log.info("Signatures INCLUDED in export for %s: %s", kind, text)


def export_model(
    estimator: Any,
    base: Any,
    receiver_fn: Callable[[], Any],
    assets_extra: Mapping[str, str] | None,
    as_text: bool,
    checkpoint_path: str | None,
) -> bytes:
    """Build the model for prediction with the newest checkpoint, and write it."""
    base = os.fspath(base.decode() if isinstance(base, bytes) else base)
    path = checkpoint_path or estimator.latest_checkpoint()
    if not path:
        raise ValueError(f"Couldn't find trained model at {estimator.model_dir}.")
    folder = _new_folder(base)
    with tf.Graph().as_default() as graph:
        estimator._create_and_assert_global_step(graph)
        tf.set_random_seed(estimator._config.tf_random_seed)
        receiver = receiver_fn()
        spec = estimator._call_model_fn(receiver.features, None, ModeKeys.PREDICT, estimator.config)
        if spec.export_outputs is None:
            raise ValueError("The predictions of the model cannot be exported: not tensors")
        found = signatures(spec.export_outputs, receiver)
        _log_signatures(spec.export_outputs, found)
        _write(folder, spec, found, path, as_text)
    for name, source in (assets_extra or {}).items():
        target = os.path.join(folder, "assets.extra", name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(source, target)
    return folder.encode()


def _write(folder: str, spec: Any, found: Any, path: str, as_text: bool) -> None:
    with tf.Session() as session:
        scaffold = spec.scaffold
        init = scaffold.local_init_op or tf.train.Scaffold.default_local_init_op()
        saver = scaffold.saver or tf.train.Saver(sharded=True)
        saver.restore(session, path)
        session.run(init)
        builder = tf.saved_model.builder.SavedModelBuilder(folder)
        builder.add_meta_graph_and_variables(
            session,
            [tf.saved_model.tag_constants.SERVING],
            signature_def_map=found,
            assets_collection=tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS),
            main_op=init,
            saver=saver,
        )
        builder.save(as_text)


@export("estimator.Exporter")
class Exporter:
    """Exports a model from train_and_evaluate, to derive from."""

    @property
    def name(self) -> str:
        raise NotImplementedError

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None,
        eval_result: Any,
        is_the_final_export: bool,
    ) -> Any:
        raise NotImplementedError


class _Named(Exporter):
    def __init__(
        self,
        name: str,
        serving_input_receiver_fn: Any,
        assets_extra: Any = None,
        as_text: bool = False,
    ) -> None:
        self._name, self._receiver_fn = name, serving_input_receiver_fn
        self._assets_extra, self._as_text = assets_extra, as_text

    @property
    def name(self) -> str:
        return self._name

    def _export(self, estimator: Any, export_path: str, checkpoint_path: str | None) -> Any:
        return estimator.export_saved_model(
            export_path,
            self._receiver_fn,
            assets_extra=self._assets_extra,
            as_text=self._as_text,
            checkpoint_path=checkpoint_path,
        )


@export("estimator.FinalExporter")
class FinalExporter(_Named):
    """Exports when training is done."""

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None,
        eval_result: Any,
        is_the_final_export: bool,
    ) -> Any:
        if not is_the_final_export:
            return None
        log.info("Performing the final export in the end of training.")
        return self._export(estimator, export_path, checkpoint_path)


def _keep(export_path: str, most: int | None) -> None:
    """Remove the oldest exports of a folder."""
    if most is None or not os.path.isdir(export_path):
        return
    stamps = sorted(int(name) for name in os.listdir(export_path) if name.isdigit())
    for stamp in stamps[: max(0, len(stamps) - most)]:
        shutil.rmtree(os.path.join(export_path, str(stamp)))


def _check_kept(exports_to_keep: int | None) -> None:
    if exports_to_keep is not None and exports_to_keep <= 0:
        raise ValueError("`exports_to_keep`, if provided, must be positive number")


@export("estimator.LatestExporter")
class LatestExporter(_Named):
    """Exports at each evaluation and keeps the newest."""

    def __init__(
        self,
        name: str,
        serving_input_receiver_fn: Any,
        assets_extra: Any = None,
        as_text: bool = False,
        exports_to_keep: int | None = 5,
    ) -> None:
        super().__init__(name, serving_input_receiver_fn, assets_extra, as_text)
        _check_kept(exports_to_keep)
        self._exports_to_keep = exports_to_keep

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None,
        eval_result: Any,
        is_the_final_export: bool,
    ) -> Any:
        found = self._export(estimator, export_path, checkpoint_path)
        _keep(export_path, self._exports_to_keep)
        return found


def _loss_smaller(best_eval_result: Any, current_eval_result: Any) -> bool:
    for result in (best_eval_result, current_eval_result):
        if not result or "loss" not in result:
            raise ValueError("eval_result cannot be empty or no loss is found in it.")
    return bool(best_eval_result["loss"] > current_eval_result["loss"])


@export("estimator.BestExporter")
class BestExporter(_Named):
    """Exports when an evaluation is better than all before it in this process.

    Results of earlier processes are not read from event files: a pattern for these is refused.
    """

    def __init__(
        self,
        name: str = "best_exporter",
        serving_input_receiver_fn: Any = None,
        event_file_pattern: str = "eval/*.tfevents.*",
        compare_fn: Callable[..., bool] = _loss_smaller,
        assets_extra: Any = None,
        as_text: bool = False,
        exports_to_keep: int | None = 5,
    ) -> None:
        super().__init__(name, serving_input_receiver_fn, assets_extra, as_text)
        if serving_input_receiver_fn is None:
            raise ValueError("`serving_input_receiver_fn` must be defined")
        if event_file_pattern != "eval/*.tfevents.*":
            raise UnsupportedOp("tf.estimator.BestExporter: event_file_pattern is not implemented")
        _check_kept(exports_to_keep)
        self._compare, self._exports_to_keep = compare_fn, exports_to_keep
        self._best: Any = None

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None,
        eval_result: Any,
        is_the_final_export: bool,
    ) -> Any:
        if self._best is not None and not self._compare(
            best_eval_result=self._best, current_eval_result=eval_result
        ):
            return None
        log.info("Performing best model export.")
        self._best = eval_result
        found = self._export(estimator, export_path, checkpoint_path)
        _keep(export_path, self._exports_to_keep)
        return found
