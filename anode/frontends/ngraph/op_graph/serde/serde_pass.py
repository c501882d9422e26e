"""A pass that writes the ops of a computation to a file."""

from __future__ import annotations

import logging
import tempfile
from typing import Any

from anode.frontends.ngraph.op_graph.serde.serde import serialize_graph
from anode.frontends.ngraph.transformers.passes.passes import GraphPass

logger = logging.getLogger(__name__)


class SerializationPass(GraphPass):
    """Writes the ops to a new file whose name begins with `fname_prefix`, in the temporary folder.

    `tmpfile.name` is the file.
    """

    def __init__(self, fname_prefix: str) -> None:
        self.tmpfile = tempfile.NamedTemporaryFile(prefix=fname_prefix, delete=False)  # noqa: SIM115

    def do_pass(self, ops: Any = (), **kwargs: Any) -> None:
        self.tmpfile.write(serialize_graph(ops))
        self.tmpfile.close()
        logger.info("the graph is in %s", self.tmpfile.name)
