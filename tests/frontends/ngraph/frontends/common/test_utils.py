import numpy as np
import pytest

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.common import utils
from anode.frontends.ngraph.testing import executor


@pytest.mark.parametrize(
    ("padding", "expected"),
    [("valid", (0, 0)), ("same", (1, 2)), ("causal", (4, 0)), ("full", (4, 4)), (3, (3, 3))],
)
def test_padding(padding, expected):
    assert utils.ConvParameters(11, 3, stride=3, dilation=2).get_padding_size(padding) == expected


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [7, 10])
def test_same_gives_a_result_for_each_stride(size, stride):
    assert utils.conv_output_dim(size, 3, "same", stride) == -(-size // stride)


def test_transposed_size_inverts_size():
    assert utils.deconv_output_dim(utils.conv_output_dim(13, 3, 1, 2), 3, 1, 2) == 13


def test_errors():
    with pytest.raises(ValueError, match="'wide' is none of"):
        utils.ConvParameters(5, 3).get_padding_size("wide")
    with pytest.raises(ValueError, match="length -2"):
        utils.conv_output_dim(2, 5, 0, 1)
    with pytest.raises(ValueError, match="not below the window"):
        utils.conv_output_dim(5, 2, 2, 1, pooling=True)


def test_tensorflow_sizes():
    arguments = ((8, 7, 9, 3), (3, 2, 3, 5), (1, 2, 2, 1))
    assert utils.common_conv2d_pool_output_shape(*arguments, "SAME") == (8, 4, 5, 5)
    assert utils.common_conv2d_pool_output_shape(*arguments, "VALID") == (8, 3, 4, 5)
    assert utils.common_conv2d_pool_padding(*arguments, "SAME") == (1, 1, 0, 1)


def test_parameters_by_axis():
    one = dict.fromkeys("CDHW", 1)
    made = utils.make_poolparams("max", {**one, "H": 3}, one, {**one, "W": 2})
    assert (made["op"], made["R"], made["J"], made["pad_w"], made["str_c"]) == ("max", 3, 1, 2, 1)


def test_descent():
    x = ng.variable((), initial_value=3.0)
    optimizer = utils.CommonSGDOptimizer(0.25)
    update = optimizer.minimize(x * x, [x])
    with executor(ng.sequential([update, x]), optimizer.get_iter_buffer()) as step:
        assert [float(step(i)) for i in range(2)] == [1.5, 0.75]
    with executor(utils.squeeze_axes([ng.constant(np.ones((1, 3, 1)))])[0]) as squeezed:
        assert squeezed().shape == (3,)
