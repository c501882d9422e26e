"""tf.contrib.predictor: a SavedModel as a function from arrays to arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anode.frontends.tensorflow.api import saved_model
from anode.frontends.tensorflow.core import Graph
from anode.frontends.tensorflow.opdef import export


class Predictor:
    """Runs a graph in a session of its own: named arrays in, named arrays out."""

    def __init__(
        self, session: Any, feed_tensors: Mapping[str, Any], fetch_tensors: Mapping[str, Any]
    ) -> None:
        self._session = session
        self._feed_tensors, self._fetch_tensors = dict(feed_tensors), dict(fetch_tensors)

    @property
    def session(self) -> Any:
        return self._session

    @property
    def graph(self) -> Any:
        return self._session.graph

    @property
    def feed_tensors(self) -> dict[str, Any]:
        return self._feed_tensors

    @property
    def fetch_tensors(self) -> dict[str, Any]:
        return self._fetch_tensors

    def __call__(self, input_dict: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs for these inputs; ValueError for a name the model does not take."""
        unknown = set(input_dict) - set(self._feed_tensors)
        if unknown:
            raise ValueError(
                f"Got unexpected keys in input_dict: {sorted(unknown)}; expected: "
                f"{sorted(self._feed_tensors)}"
            )
        feeds = {self._feed_tensors[name]: value for name, value in input_dict.items()}
        found: dict[str, Any] = self._session.run(self._fetch_tensors, feeds)
        return found

    def close(self) -> None:
        self._session.close()


@export("contrib.predictor.from_saved_model")
def from_saved_model(
    export_dir: Any,
    signature_def_key: str | None = None,
    signature_def: Any = None,
    input_names: Mapping[str, str] | None = None,
    output_names: Mapping[str, str] | None = None,
    tags: str | None = None,
    graph: Graph | None = None,
    config: Any = None,
) -> Predictor:
    """The Predictor of a SavedModel, by a signature or by names of its tensors."""
    from anode.frontends.tensorflow.session import Session

    session = Session(graph=graph or Graph(), config=config)
    wanted = ["serve"] if tags is None else tags.split(",")
    meta = saved_model.load(session, wanted, export_dir)
    if input_names is None or output_names is None:
        key = signature_def_key or "serving_default"
        if signature_def is None and key not in meta.signature_def:
            raise ValueError(
                f"Got signature_def_key {key!r}, the model has {sorted(meta.signature_def)}"
            )
        signature = signature_def or meta.signature_def[key]
        input_names = input_names or {k: info.name for k, info in signature.inputs.items()}
        output_names = output_names or {k: info.name for k, info in signature.outputs.items()}
    tensors = [
        {key: session.graph.get_tensor_by_name(name) for key, name in names.items()}
        for names in (input_names, output_names)
    ]
    return Predictor(session, *tensors)
