"""Trains each model and saves it, or restores it and goes on: `cross.py save|restore FOLDER`.

It runs with anode's and with TensorFlow's Python; the other side's `restore` must find what `save`
noted: the variables, bit for bit, and after one more step, closely.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

# TensorFlow's Python has no `tests`.
sys.path.insert(0, str(Path(__file__).parent))
from models import MODELS, Step


def values(tf: Any, session: Any) -> dict[str, Any]:
    """The variables by name; those of the slices of one too."""
    found = session.run({v.op.name: v for v in tf.global_variables()})
    return {name.replace("/", "|"): value for name, value in found.items()}


def one_more(tf: Any, session: Any, step: Step, folder: Path) -> None:
    """Note what is there, take a step, and note what is there then."""
    before = values(tf, session)
    loss = session.run(step.loss, step.feeds)
    session.run(step.train, step.feeds)
    np.savez(str(folder / "before.npz"), **before)
    np.savez(str(folder / "after.npz"), loss=loss, **values(tf, session))


def save(tf: Any, step: Step, folder: Path) -> None:
    folder.mkdir(parents=True)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(3):
            session.run(step.train, step.feeds)
        tf.train.Saver(**step.saver).save(session, str(folder / "model"))
        one_more(tf, session, step, folder)
    note_list(tf, folder)


def restore(tf: Any, step: Step, folder: Path) -> None:
    with tf.Session() as session:
        tf.train.Saver(**step.saver).restore(session, str(folder.parent / "save" / "model"))
        folder.mkdir(parents=True)
        one_more(tf, session, step, folder)
    note_list(tf, folder)


def note_list(tf: Any, folder: Path) -> None:
    listed = tf.train.list_variables(str(folder.parent / "save" / "model"))
    (folder / "list.json").write_text(json.dumps([[n, list(map(int, s))] for n, s in listed]))


def tensorflow() -> Any:
    """anode's module if anode is there, the real one's `compat.v1` if not."""
    try:
        import_module("anode.compat").install("tensorflow")
    except ImportError:
        os.environ.update(TF_USE_LEGACY_KERAS="1", TF_CPP_MIN_LOG_LEVEL="3")
        tf = import_module("tensorflow")
        if tf.__version__.startswith("1."):
            return tf
        tf.compat.v1.disable_v2_behavior()
        return tf.compat.v1
    return import_module("tensorflow")


def main(action: str, folder: str, *names: str) -> None:
    tf, failed = tensorflow(), {}
    for model in MODELS:
        if names and model.__name__ not in names:
            continue
        with tf.Graph().as_default():
            try:
                step = model(tf)
                do = save if action == "save" else restore
                do(tf, step, Path(folder) / model.__name__ / action)
            except Exception as error:  # all of them are named in the end
                if names:
                    raise
                failed[model.__name__] = f"{type(error).__name__}: {error}"
    print(json.dumps(failed))


if __name__ == "__main__":
    main(*sys.argv[1:])
