"""The language of selectors, on a tree that is no graph: what matches, and what is refused."""

import pytest

from anode.errors import GraphError
from anode.rewrite.select import Element, Tree, Vocabulary
from anode.rewrite.selector import DEEPEST, LONGEST, parse


@pytest.fixture
def tree():
    model = Element("model", types=("Scope",), name="model")
    conv = Element(
        "conv",
        types=("Convolution", "Layer"),
        name="model/conv1",
        attributes={"strides": (2, 2), "dtype": "f32", "groups": 1, "biased": True},
        inside=model,
    )
    bias = Element("bias", ("Bias", "Layer"), "bias", inside=conv, classes=("weights",))
    norm = Element("norm", ("BatchNorm",), "norm", inside=model, before=(conv,), transparent=True)
    pool = Element("pool", ("Max_Pool", "Layer"), "pool", inside=model, before=(norm,))
    out = Element("out", ("Layer",), "out", inside=model, before=(pool,), states=("output",))
    types = ("Scope", "Convolution", "Layer", "Bias", "BatchNorm", "Max_Pool", "op|add")
    return Tree([model, conv, bias, norm, pool, out], Vocabulary(types))


FOUND = {
    "*": "model conv bias norm pool out",
    "convolution": "conv",
    "maxpool": "pool",
    "MAX-pool": "pool",
    "layer": "conv bias pool out",
    "scope layer": "conv bias pool out",
    "scope > layer": "conv pool out",
    "scope scope": "",
    "convolution + *": "norm",
    "convolution+*": "norm",
    "convolution ~ layer": "pool out",
    "bias, #pool": "bias pool",
    "#conv*": "conv",
    "#model/*": "conv",
    '#"model/conv1"': "conv",
    r"#model\/conv?": "conv",
    ".weights": "bias",
    "layer.weights": "bias",
    ":output": "out",
    "layer:not(.weights, :output)": "conv pool",
    "layer:is(bias, #out)": "bias out",
    "layer:in(convolution)": "bias",
    "*:has(bias)": "model conv",
    "convolution:followed-by(maxpool)": "conv",
    "convolution:followed-by(batchnorm)": "conv",
    "convolution:followed-by(#out)": "",
    "max-pool:preceded-by(convolution)": "pool",
    "#out:preceded-by(convolution)": "",
    "layer:first": "conv",
    "layer:last": "out",
    "layer:nth(1)": "bias",
    "layer:nth(-2)": "pool",
    "layer:nth(9)": "",
    "layer:first *": "bias",
    "[dtype]": "conv",
    "[dtype=f32]": "conv",
    "[dtype=f*]": "conv",
    "[dtype='f32']": "conv",
    "[dtype!=f32]": "",
    "[dtype^=f]": "conv",
    "[dtype$=16]": "",
    "[dtype*=3]": "conv",
    "[groups=1]": "conv",
    "[groups=1.0]": "conv",
    "[groups=true]": "",
    "[biased=true]": "conv",
    "[groups<2][groups<=1][groups>0][groups>=1]": "conv",
    "[dtype>1]": "",
    "[strides=2]": "conv",
    "[strides=(2, 2)]": "conv",
    "[strides=(2,)]": "",
    "[strides~=2]": "conv",
    "op|add": "",
}


@pytest.mark.parametrize(("selector", "found"), FOUND.items(), ids=FOUND)
def test_what_is_found(tree, selector, found):
    assert " ".join(element.subject for element in tree.select(selector)) == found


ERRORS = {
    "convolutoin": ("no element 'convolutoin'; did you mean Convolution", 0),
    "layer, layr": ("no element 'layr'; did you mean Layer", 7),
    "layer:not(layr)": ("no element 'layr'", 10),
    "layer:nth": (":nth needs something in parentheses", 6),
    "layer:nth(x)": ("a whole number is expected", 10),
    "layer:no(bias)": ("no relation 'no'; did you mean not", 6),
    "layer:outptu": ("no state 'outptu'; did you mean output", 6),
    "layer[": ("the name of an attribute is expected", 6),
    "layer[dtype=]": ("a value is expected", 12),
    "layer[dtype=f32": ("] is missing", 15),
    "layer >": ("an element such as", 7),
    "": ("an element such as", 0),
    "layer:not(bias": (") is missing", 14),
    "layer)": ("there is a stray ')'", 5),
    "layer#": ("a name is expected", 6),
    "layer .": ("the name of a class is expected", 7),
}


@pytest.mark.parametrize(("selector", "message"), ERRORS.items(), ids=ERRORS)
def test_errors_point_at_the_place(tree, selector, message):
    sentence, place = message
    with pytest.raises(GraphError) as caught:
        tree.select(selector)
    first, line, caret = str(caught.value).split("\n")
    assert sentence in first
    assert line == f"  {selector}"
    assert caret == " " * (place + 2) + "^"


def test_what_is_not_in_the_vocabulary_may_be_admitted():
    lone = Element("x", types=("A",), attributes={"step": 3})
    tree = Tree([lone], Vocabulary(types=None, attributes=None, states=None))
    assert tree.select("a[step=3]") == [lone]
    assert tree.select("b, [stop], :there") == []


def test_limits_of_untrusted_text():
    with pytest.raises(GraphError, match="are within each other"):
        parse(":not(" * (DEEPEST + 2))
    with pytest.raises(GraphError, match="at most"):
        parse("a" * (LONGEST + 1))


def test_attribute_names_are_checked_where_they_are_known():
    tree = Tree([], Vocabulary(attributes=("dtype", "rank")))
    with pytest.raises(GraphError, match="no attribute 'dtpye'; did you mean dtype"):
        tree.select("[dtpye=f32]")
