"""Index files: a line with a name and a label for each file of a folder of classes."""

from __future__ import annotations

import glob
import logging
import os

from anode.frontends.neon import NervanaObject

logger = logging.getLogger(__name__)


class Indexer(NervanaObject):
    """Writes `index_file` for the files that match `pattern` in the subfolders of `path`.

    The subfolders are classes, numbered by name.
    """

    def __init__(self, path: str, index_file: str, pattern: str = "*") -> None:
        super().__init__()
        self.path, self.index_file, self.pattern = path, index_file, pattern

    def run(self) -> None:
        """Write the file unless it is there."""
        if os.path.exists(self.index_file):
            return
        logger.warning("%s not found. Attempting to create...", self.index_file)
        classes = sorted(entry.name for entry in os.scandir(self.path) if entry.is_dir())
        with open(self.index_file, "w", encoding="utf-8") as file:
            file.write("filename,label1\n")
            for label, name in enumerate(classes):
                for path in sorted(glob.glob(os.path.join(self.path, name, self.pattern))):
                    file.write(f"{name}/{os.path.basename(path)},{label}\n")
        logger.info("Created index file: %s", self.index_file)
