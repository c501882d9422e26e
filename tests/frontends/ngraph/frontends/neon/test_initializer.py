import numpy as np
import pytest

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon import axis, initializer

IN = [ng.make_axis(3, name="A"), ng.make_axis(4, name="B")]
AXES = ng.make_axes([axis.make_shadow_axis(ng.make_axis(5, name="K")), *IN])


@pytest.mark.parametrize(
    ("made", "draw"),
    [
        (initializer.GaussianInit(1, 2), lambda s: np.random.normal(1, 2, s)),
        (initializer.GaussianInit(1, var=2), lambda s: np.random.normal(1, 2, s)),
        (initializer.UniformInit(-2, 2), lambda s: np.random.uniform(-2, 2, s)),
        (initializer.GlorotInit(), lambda s: np.random.uniform(-1, 1, s) * np.sqrt(6 / 17)),
        (initializer.XavierInit(), lambda s: np.random.uniform(-1, 1, s) * np.sqrt(3 / 12)),
        (initializer.KaimingInit(), lambda s: np.random.normal(0, 1, s) * np.sqrt(2 / 12)),
    ],
)
def test_draws_are_numpys(made, draw):
    np.random.seed(3)
    found = made(AXES)
    np.random.seed(3)
    np.testing.assert_allclose(found, draw((5, 3, 4)), rtol=1e-12)


def test_constant():
    assert initializer.ConstantInit(2.5)(AXES) == 2.5
