"""tf.contrib.tensorboard.plugins.projector: which embeddings TensorBoard's projector shows."""

from __future__ import annotations

import os
from typing import Any

from anode.frontends.tensorflow.formats import proto, text
from anode.frontends.tensorflow.opdef import export


@export("contrib.tensorboard.plugins.projector.visualize_embeddings")
def visualize_embeddings(summary_writer: Any, config: Any) -> None:
    """Write `projector_config.pbtxt` where the writer writes."""
    if not isinstance(config, proto.ProjectorConfig):
        raise TypeError(f"config is a ProjectorConfig, not {type(config).__name__}")
    folder = summary_writer.get_logdir()
    if folder is None:
        raise ValueError("Summary writer must have a logdir")
    with open(os.path.join(folder, "projector_config.pbtxt"), "w") as file:
        file.write(text.MessageToString(config))
