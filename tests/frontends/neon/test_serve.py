"""The names of neon and ngraph are served; missing ones fail with the nearest that exists."""

import sys

import pytest

from anode import compat
from anode.errors import UnsupportedOp


@pytest.fixture
def neon():
    compat.install("neon")
    yield
    compat.uninstall("neon")


def test_modules_are_those_of_the_frontend(neon):
    import neon.layers.layer

    import anode.frontends.neon.layers.layer as own

    assert neon.layers.layer is own
    assert neon.layers.layer.Linear is own.Linear
    assert sys.modules["neon.layers.layer"] is own


@pytest.mark.parametrize(
    "path, home",
    [
        ("layers.layer:Tensor", "backends.backend"),
        ("layers.layer:NervanaObject", ""),
        ("layers.layer:Autodiff", "backends"),
        ("layers.recurrent:ParameterLayer", "layers.layer"),
        ("layers.recurrent:interpret_in_shape", "layers.layer"),
        ("layers.container:Affine", "layers"),
        ("layers.container:LookupTable", "layers"),
        ("layers.container:Recurrent", "layers"),
        ("layers.container:get_steps", "layers.recurrent"),
        ("backends.nervanacpu:Tensor", "backends.backend"),
        ("backends.nervanacpu:OpTreeNode", "backends.backend"),
        ("models.model:ModelDescription", "util.modeldesc"),
        ("data.text:pad_sentences", "data.text_preprocessing"),
        ("data.text:pad_data", "data.text_preprocessing"),
    ],
)
def test_names_that_neon_s_modules_import_from_others(neon, path, home):
    from importlib import import_module

    module, name = path.split(":")
    found = getattr(import_module(f"neon.{module}"), name)
    assert found is getattr(import_module(f"neon.{home}".rstrip(".")), name)


def test_a_missing_module_fails_with_the_nearest(neon):
    with pytest.raises(
        ModuleNotFoundError, match=r"neon\.initialisers.*nearest: neon\.initializers"
    ):
        import neon.initialisers  # noqa: F401


def test_a_missing_name_fails_with_the_nearest(neon):
    with pytest.raises(ImportError, match=r"neon\.layers\.Pool is not implemented"):
        from neon.layers import Pool  # noqa: F401
    with pytest.raises(ImportError, match=r"nearest: neon\.layers\.layer\.Convolution"):
        from neon.layers.layer import Convolutions  # noqa: F401


def test_descriptions_name_classes_as_the_original(neon):
    from neon.backends import gen_backend
    from neon.initializers import Constant
    from neon.layers import Linear

    gen_backend("cpu", batch_size=2)
    found = Linear(3, init=Constant(1.0), name="one").get_description()
    assert found["type"] == "neon.layers.layer.Linear"
    assert found["config"]["init"]["type"] == "neon.initializers.initializer.Constant"


def test_uninstall_forgets(neon):
    import neon.layers  # noqa: F401

    compat.uninstall("neon")
    assert not [name for name in sys.modules if name == "neon" or name.startswith("neon.")]


def test_other_libraries_are_refused():
    with pytest.raises(UnsupportedOp, match="serves tensorflow, neon, ngraph"):
        compat.install("theano")
