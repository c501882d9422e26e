"""Where neon 3 departed from ngraph; its loops are in neon/test_callbacks.py."""

import numpy as np
import pytest

pytest.importorskip("configargparse")
from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends import neon, neon3
from anode.frontends.ngraph.testing import executor
from anode.frontends.serve import located


def test_filters_are_drawn_first():
    axes = [ng.make_axis(n, name=s) for n, s in ((2, "N"), (3, "C"), (5, "H"), (5, "W"))]
    layer = neon3.Convolution((2, 3, 4), neon3.UniformInit(0, 1))
    np.random.seed(0)
    layer(ng.placeholder(axes))
    np.random.seed(0)
    drawn = np.random.uniform(0, 1, (4, 3, 1, 2, 3))
    with executor(layer.conv.W) as read:
        np.testing.assert_allclose(read(), np.moveaxis(drawn, 0, -1), rtol=1e-6)


@pytest.mark.parametrize(("module", "count"), [(neon, 4), (neon3, 1)])
def test_sums_are_compensated_in_ngraph_alone(module, count):
    w = ng.variable((), initial_value=2.0)
    step = module.GradientDescentMomentum(0.25, momentum_coef=0.5)(w * w)
    states = {op.tensor for op in ng.Op.ordered_ops([step]) for op in op.args} | {w}
    kept = [op for op in states if getattr(op, "is_persistent", False) and "vel" in op.name]
    assert len(kept) == 1
    with executor(ng.sequential([step, w])) as train:
        assert [float(train()) for _ in range(2)] == [1.0, 0.0]
    suffixes = {op.name.rsplit("_", 1)[-1] for op in states if hasattr(op, "initial_value")}
    assert len(suffixes & {"vel", "c", "y", "t"}) == count


def test_modules_are_neon_3s_or_else_ngraphs():
    package = "anode.frontends.ngraph.frontends"
    assert located("neon.frontend") == f"{package}.neon3"
    assert located("neon.frontend.callbacks") == f"{package}.neon3.callbacks"
    assert located("neon.frontend.axis") == f"{package}.neon.axis"
    assert located("neon.frontend.common.utils") == f"{package}.common.utils"
    assert set(neon.__all__) <= set(neon3.__all__)
