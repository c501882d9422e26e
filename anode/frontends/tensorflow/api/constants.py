"""The names of `tf` that are values or come from the files below api/: types, shapes, errors."""

from __future__ import annotations

from anode.frontends.tensorflow import dtypes, errors, tensor_shape
from anode.frontends.tensorflow.opdef import export_values

VERSION = "1.15.0"
GIT_VERSION = "v1.15.0-anode"
COMPILER_VERSION = "anode"
CXX11_ABI_FLAG = 0
MONOLITHIC_BUILD = 0
GRAPH_DEF_VERSION = 134
GRAPH_DEF_VERSION_MIN_CONSUMER = 0
GRAPH_DEF_VERSION_MIN_PRODUCER = 0
newaxis = None
SHAPES = "python.framework.tensor_shape"

_VERSIONS = {
    "__version__": "VERSION",
    "__git_version__": "GIT_VERSION",
    "__compiler_version__": "COMPILER_VERSION",
    "__cxx11_abi_flag__": "CXX11_ABI_FLAG",
    "__monolithic_build__": "MONOLITHIC_BUILD",
    "newaxis": "newaxis",
}
_NUMBERS = ("GRAPH_DEF_VERSION", "GRAPH_DEF_VERSION_MIN_CONSUMER", "GRAPH_DEF_VERSION_MIN_PRODUCER")
_SAME = ("VERSION", "GIT_VERSION", "COMPILER_VERSION", *_NUMBERS)

export_values(__name__, _VERSIONS)
export_values(__name__, (*_SAME, "CXX11_ABI_FLAG", "MONOLITHIC_BUILD"))
export_values(__name__, {f"version.{name}": name for name in _SAME})
export_values(
    __name__, {f"sysconfig.{name}": name for name in ("CXX11_ABI_FLAG", "MONOLITHIC_BUILD")}
)

_TYPES = sorted(name for name in vars(dtypes) if isinstance(getattr(dtypes, name), dtypes.DType))
export_values(dtypes.__name__, (*_TYPES, "DType", "as_dtype"))
export_values(dtypes.__name__, {"QUANTIZED_DTYPES": "QUANTIZED_DTYPES"})
export_values(
    dtypes.__name__,
    {f"python.framework.dtypes.{name}": name for name in dtypes.DTYPES if name.endswith("_ref")},
)

_SHAPE_NAMES = (
    *("Dimension", "TensorShape", "as_dimension", "as_shape", "dimension_at_index"),
    *("dimension_value", "matrix", "scalar", "unknown_shape", "vector"),
)
export_values(tensor_shape.__name__, ("Dimension", "TensorShape"))
export_values(tensor_shape.__name__, {"compat.dimension_value": "dimension_value"})
export_values(tensor_shape.__name__, {"compat.dimension_at_index": "dimension_at_index"})
export_values(tensor_shape.__name__, {f"{SHAPES}.{name}": name for name in _SHAPE_NAMES})

export_values(
    errors.__name__,
    {
        f"errors.{name}": name
        for name in vars(errors)
        if name.endswith("Error") or name.isupper() or "error_code" in name
    },
)
