"""Where a name of the module `tensorflow` is found: old names, internal modules, equal names.

`public_names.txt` has the public names of TensorFlow 1.15, those of one thing on one line;
`internal_modules.txt` its modules under `tensorflow.python` and `tensorflow.core`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

# Old namespaces and internal modules, and the public namespaces that have their names; "" is `tf`.
# The longest that fits a path counts. What lies below it is looked up whole, then its last name.
RULES: dict[str, tuple[str, ...]] = {
    "array_ops": ("",),
    "compat.v1": ("",),
    "compat.v2.keras": ("keras",),
    "contrib.data": ("data", "data.experimental"),
    "contrib.keras.api": ("",),
    "contrib.keras.python": ("",),
    "contrib.nn.python": ("contrib.nn", "nn"),
    "contrib.rnn.core_rnn_cell": ("nn.rnn_cell", "contrib.rnn"),
    "contrib.rnn.python.ops.core_rnn": ("contrib.rnn", "nn"),
    "contrib.rnn.python.ops.core_rnn_cell": ("contrib.rnn", "nn.rnn_cell"),
    "contrib.rnn.python": ("contrib.rnn", "nn.rnn_cell", "nn"),
    "contrib.rnn.rnn_cell": ("nn.rnn_cell", "contrib.rnn"),
    "control_flow_ops": ("",),
    "core": ("core", "", "train", "summary"),
    "g3doc.how_tos": ("examples.how_tos",),
    "g3doc.tutorials": ("examples.tutorials",),
    "models.rnn": ("nn.rnn_cell", "nn", "contrib.legacy_seq2seq"),
    "models.rnn.rnn": ("nn",),
    "models.rnn.rnn_cell": ("nn.rnn_cell", "contrib.rnn"),
    "models.rnn.seq2seq": ("contrib.legacy_seq2seq",),
    "nn.seq2seq": ("contrib.legacy_seq2seq",),
    "python": ("",),
    "python.array_ops": ("",),
    "python.client.session": ("",),
    "python.control_flow_ops": ("",),
    "python.data": ("data", "data.experimental"),
    "python.debug": ("debug",),
    "python.estimator": ("estimator", "estimator.inputs", "estimator.export"),
    "python.feature_column": ("feature_column",),
    "python.framework": ("",),
    "python.framework.dtypes": ("", "dtypes"),
    "python.framework.errors": ("errors",),
    "python.framework.errors_impl": ("errors",),
    "python.framework.graph_io": ("train", "io"),
    "python.framework.graph_util": ("graph_util",),
    "python.framework.graph_util_impl": ("graph_util",),
    "python.framework.importer": ("", "graph_util"),
    "python.framework.meta_graph": ("train",),
    "python.framework.sparse_tensor": ("", "sparse"),
    "python.framework.tensor_util": ("", "contrib.util"),
    "python.framework.test_util": ("test",),
    "python.functional_ops": ("",),
    "python.gen_math_ops": ("", "math"),
    "python.keras": ("keras",),
    "python.keras.layers": ("keras.layers",),
    "python.keras.optimizer_v2": ("keras.optimizers", "keras.optimizers.schedules"),
    "python.keras.saving": ("keras.models", "keras.experimental"),
    "python.keras.utils": ("keras.utils",),
    "python.keras.engine": ("keras", "keras.layers", "keras.models", "keras.utils"),
    "python.layers": ("layers", "keras.layers"),
    "python.lib.io.tf_record": ("python_io", "io"),
    "python.math_ops": ("", "math"),
    "python.nn_ops": ("nn",),
    "python.ops": ("",),
    "python.ops.array_ops": ("", "manip", "quantization"),
    "python.ops.candidate_sampling_ops": ("nn", "random"),
    "python.ops.check_ops": ("", "debugging"),
    "python.ops.constant_op": ("",),
    "python.ops.ctc_ops": ("nn",),
    "python.ops.data_flow_ops": ("", "queue", "lookup"),
    "python.ops.distributions": ("distributions",),
    "python.ops.embedding_ops": ("nn",),
    "python.ops.gen_image_ops": ("image",),
    "python.ops.gen_math_ops": ("", "math"),
    "python.ops.gen_nn_ops": ("nn",),
    "python.ops.gen_random_ops": ("random", ""),
    "python.ops.gen_parsing_ops": ("io", ""),
    "python.ops.image_ops": ("image",),
    "python.ops.image_ops_impl": ("image",),
    "python.ops.init_ops": ("", "initializers", "keras.initializers"),
    "python.ops.io_ops": ("", "io"),
    "python.ops.linalg": ("linalg",),
    "python.ops.linalg_ops": ("", "linalg"),
    "python.ops.linalg_ops_impl": ("linalg",),
    "python.ops.lookup_ops": ("lookup", "contrib.lookup", ""),
    "python.ops.losses": ("losses",),
    "python.ops.math_ops": ("", "math", "linalg", "dtypes"),
    "python.ops.metrics": ("metrics",),
    "python.ops.metrics_impl": ("metrics",),
    "python.ops.nn": ("nn", "math"),
    "python.ops.nn_impl": ("nn",),
    "python.ops.nn_ops": ("nn",),
    "python.ops.numerics": ("", "debugging"),
    "python.ops.parsing_ops": ("", "io"),
    "python.ops.random_ops": ("", "random"),
    "python.ops.rnn": ("nn", "contrib.rnn"),
    "python.ops.rnn_cell": ("nn.rnn_cell", "contrib.rnn"),
    "python.ops.rnn_cell_impl": ("nn.rnn_cell", "contrib.rnn"),
    "python.ops.seq2seq": ("contrib.legacy_seq2seq",),
    "python.ops.sparse_ops": ("", "sparse"),
    "python.ops.spectral_ops": ("spectral", "signal", ""),
    "python.ops.standard_ops": ("", "math"),
    "python.ops.string_ops": ("", "strings"),
    "python.ops.variables": ("",),
    "python.platform": ("",),
    "python.platform.app": ("app",),
    "python.platform.flags": ("flags",),
    "python.platform.gfile": ("gfile",),
    "python.platform.googletest": ("test",),
    "python.platform.logging": ("logging",),
    "python.platform.resource_loader": ("resource_loader",),
    "python.platform.sysconfig": ("sysconfig",),
    "python.platform.test": ("test",),
    "python.platform.tf_logging": ("logging",),
    "python.saved_model": (
        "saved_model",
        "saved_model.builder",
        "saved_model.loader",
        "saved_model.signature_constants",
        "saved_model.signature_def_utils",
        "saved_model.tag_constants",
        "saved_model.utils",
    ),
    "python.summary": ("summary", "train"),
    "python.training": ("train", "train.experimental", ""),
    "python.util.compat": ("compat",),
    "random_ops": ("", "random"),
    "rnn_cell": ("nn.rnn_cell",),
}

# Names of TensorFlow before 1.0, gone or not public in 1.15, and what they are there.
OLD: dict[str, str] = {
    "SyncReplicasOptimizer": "train.SyncReplicasOptimizer",
    "all_candidate_sampler": "nn.all_candidate_sampler",
    "batch_cholesky": "cholesky",
    "batch_fft": "fft",
    "batch_fft2d": "fft2d",
    "batch_fft3d": "fft3d",
    "batch_ifft": "ifft",
    "batch_matrix_band_part": "matrix_band_part",
    "batch_matrix_determinant": "matrix_determinant",
    "batch_matrix_diag": "matrix_diag",
    "batch_matrix_diag_part": "matrix_diag_part",
    "batch_matrix_inverse": "matrix_inverse",
    "batch_matrix_set_diag": "matrix_set_diag",
    "batch_matrix_solve": "matrix_solve",
    "batch_matrix_transpose": "matrix_transpose",
    "batch_self_adjoint_eig": "self_adjoint_eig",
    "batch_svd": "svd",
    "complex_abs": "abs",
    "concat_v2": "concat",
    "embedding_lookup_sparse": "nn.embedding_lookup_sparse",
    "image.per_image_whitening": "image.per_image_standardization",
    "inv": "reciprocal",
    "listdiff": "setdiff1d",
    "merge_all_summaries": "summary.merge_all",
    "merge_summary": "summary.merge",
    "moments": "nn.moments",
    "mul": "multiply",
    "neg": "negative",
    "nn.bidirectional_rnn": "nn.static_bidirectional_rnn",
    "nn.deconv2d": "nn.conv2d_transpose",
    "nn.rnn": "nn.static_rnn",
    "nn.state_saving_rnn": "nn.static_state_saving_rnn",
    "pack": "stack",
    "python.ops.array_ops.pack": "stack",
    "python.ops.array_ops.reverse_v2": "reverse",
    "python.ops.gen_array_ops._concat_v2": "concat",
    "python.ops.math_ops.mul": "multiply",
    "python.ops.rnn.bidirectional_rnn": "nn.static_bidirectional_rnn",
    "python.ops.rnn.rnn": "nn.static_rnn",
    "python.framework.tensor_util.MakeNdarray": "make_ndarray",
    "python.framework.test_util.TensorFlowTestCase": "test.TestCase",
    "select": "where",
    "sub": "subtract",
    "train.SummaryWriter": "summary.FileWriter",
    "unpack": "unstack",
}

_HERE = Path(__file__).parent


@cache
def public_names() -> tuple[tuple[str, ...], ...]:
    """The public names of TensorFlow 1.15, those of one thing together."""
    lines = (_HERE / "public_names.txt").read_text().splitlines()
    return tuple(tuple(line.split()) for line in lines)


# Packages of tf.contrib that are there once they are imported, not among the public names.
CONTRIB = frozenset(
    (
        *("all_reduce", "bigtable", "boosted_trees", "decision_trees", "distribute", "eager"),
        *("fused_conv", "hadoop", "hooks", "ignite", "kafka", "kinesis", "labeled_tensor"),
        *("libsvm", "meta_graph_transform", "nearest_neighbor", "optimizer_v2", "quantization"),
        *("rate", "receptive_field", "recurrent", "reduce_slice_ops", "remote_fused_graph"),
        *("session_bundle", "specs", "tensorrt", "text"),
    )
)


def is_internal(path: str) -> bool:
    """Whether a path may be one of TensorFlow's that is not public."""
    root, *rest = path.split(".")
    if root == "contrib" and rest and rest[0] in CONTRIB:
        return True
    return root in ("python", "core") or "python" in rest


@cache
def public_namespaces() -> frozenset[str]:
    """The modules of TensorFlow 1.15: those of its public names, and its internal ones."""
    internal = (_HERE / "internal_modules.txt").read_text().splitlines()
    paths = [path for names in public_names() for path in names]
    return frozenset(parents([*paths, *RULES, *(f"{path}.x" for path in [*internal, *RULES])]))


def imported_module(path: str) -> str | None:
    """The internal module that another one imports: python.ops.rnn.rnn_cell_impl is one beside it.

    TensorFlow's modules name each other by `import`, so scripts find them in each other.
    """
    space, _, name = path.rpartition(".")
    if not space.startswith("python.") or space not in public_namespaces():
        return None
    package = space.rpartition(".")[0]
    found = sorted(p for p in public_namespaces() if p.startswith("python.") and _last(p) == name)
    beside = f"{package}.{name}"
    return beside if beside in found else found[0] if len(found) == 1 else None


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def parents(paths: list[str]) -> Iterator[str]:
    """Every namespace above these paths."""
    for path in paths:
        while "." in path:
            path = path.rpartition(".")[0]
            yield path


def candidates(path: str) -> Iterator[str]:
    """The paths where a name may be exported, best first."""
    yield path
    if path in OLD:
        yield from candidates(OLD[path])
    space = path
    while "." in space:
        space = space.rpartition(".")[0]
        if space in RULES:
            yield from _below(RULES[space], path[len(space) + 1 :])
            break
    if path.startswith("contrib.") and ".python." in path:
        yield from _of_contrib(path)


def _below(spaces: tuple[str, ...], rest: str) -> Iterator[str]:
    last = rest.rpartition(".")[2]
    for tail in dict.fromkeys((rest, last, last.lstrip("_") if "gen_" in rest else last)):
        for space in spaces:
            yield f"{space}.{tail}" if space else tail


def _of_contrib(path: str) -> Iterator[str]:
    """contrib.layers.python.layers.utils.f is contrib.layers.utils.f or contrib.layers.f."""
    package, _, inner = path.partition(".python.")
    parts = inner.split(".")
    for start in range(len(parts)):
        yield ".".join([package, *parts[start:]])
