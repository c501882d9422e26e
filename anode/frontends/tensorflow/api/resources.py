"""`tf.resource_loader` and `tf.sysconfig`: files beside a script, and where anode lies."""

from __future__ import annotations

import os
import sys
from typing import Any

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.opdef import export


@export("resource_loader.get_data_files_path")
def get_data_files_path() -> str:
    """The folder of the file that calls this."""
    return os.path.dirname(os.path.abspath(sys._getframe(1).f_code.co_filename))


@export("resource_loader.get_path_to_datafile")
def get_path_to_datafile(path: str) -> str:
    """The path of a file beside the one that calls this."""
    folder = os.path.dirname(os.path.abspath(sys._getframe(1).f_code.co_filename))
    return os.path.join(folder, path)


@export("resource_loader.load_resource")
def load_resource(path: str) -> bytes:
    """The bytes of a file; a relative path starts at the folder of the script."""
    with open(os.path.join(get_root_dir_with_all_resources(), path), "rb") as file:
        return file.read()


@export("resource_loader.get_root_dir_with_all_resources")
def get_root_dir_with_all_resources() -> str:
    """The folder of the script."""
    return os.path.dirname(os.path.abspath(getattr(sys.modules["__main__"], "__file__", "")))


@export("resource_loader.readahead_file_path")
def readahead_file_path(path: str, readahead: str = "128M") -> str:
    """The path as it is: files of this machine are read as they are needed."""
    return path


@export("sysconfig.get_include")
def get_include() -> str:
    raise _no_headers("get_include")


@export("sysconfig.get_lib")
def get_lib() -> str:
    raise _no_headers("get_lib")


@export("sysconfig.get_compile_flags")
def get_compile_flags() -> list[str]:
    raise _no_headers("get_compile_flags")


@export("sysconfig.get_link_flags")
def get_link_flags() -> list[str]:
    raise _no_headers("get_link_flags")


@export("load_op_library")
def load_op_library(library_filename: Any) -> Any:
    raise UnsupportedOp(
        f"tf.load_op_library({library_filename!r}): ops compiled against TensorFlow do not run in "
        "anode; write them with TensorFlow's own ops or tf.py_func"
    )


def _no_headers(name: str) -> UnsupportedOp:
    return UnsupportedOp(f"tf.sysconfig.{name}: anode has no headers or library of TensorFlow")
