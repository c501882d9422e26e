"""Messages behave as Python's protobuf messages do; expected bytes were written by protobuf."""

import copy
import pickle

import numpy as np
import pytest

from anode.frontends.tensorflow.formats import example, proto, schema, text
from anode.frontends.tensorflow.formats.message import message_class


def test_nested_fields_are_set_by_touching_them():
    summary = proto.Summary()
    summary.value.add(tag="loss", simple_value=0.5)
    summary.value.add().histo.min = 3
    assert summary.SerializeToString().hex() == (
        "0a0b0a046c6f7373150000003f0a0b2a09090000000000000840"
    )
    assert summary.value[1].WhichOneof("value") == "histo"
    assert not summary.value[0].HasField("image")
    assert summary.value[0].image.height == 0 and not summary.value[0].HasField("image")


def test_a_oneof_holds_its_last_member():
    value = proto.AttrValue(i=3)
    value.list.s.append(b"x")
    assert value.WhichOneof("value") == "list" and value.i == 0
    value.type = "DT_FLOAT"
    assert value == proto.AttrValue(type=1) and not value.HasField("list")
    value.ClearField("value")
    assert value.WhichOneof("value") is None


def test_example():
    int64 = proto.Feature(int64_list=proto.Int64List(value=np.array([1, 2, -3])))
    floats = proto.Feature(float_list={"value": [0.5, 1]})
    words = proto.Feature(bytes_list=proto.BytesList(value=[b"ab", b""]))
    made = proto.Example(features=proto.Features(feature={"i": int64, "f": floats, "b": words}))
    data = made.SerializeToString()
    assert example.decode_example(data) == {"i": [1, 2, -3], "f": [0.5, 1.0], "b": [b"ab", b""]}
    read = proto.Example.FromString(data)
    assert read == made and read.features.feature["i"].int64_list.value[:] == [1, 2, -3]
    assert "x" not in read.features.feature
    assert read.features.feature["x"].WhichOneof("kind") is None


def test_sequence_example():
    made = proto.SequenceExample()
    made.context.feature["length"].int64_list.value.append(2)
    for token in (7, 8):
        made.feature_lists.feature_list["tokens"].feature.add().int64_list.value.append(token)
    context, lists = example.decode_sequence_example(made.SerializeToString())
    assert context == {"length": [2]} and lists == {"tokens": [[7], [8]]}


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: setattr(proto.Summary(), "nope", 1), AttributeError),
        (lambda: proto.Summary().nope, AttributeError),
        (lambda: proto.Summary(nope=1), ValueError),
        (lambda: proto.Summary().HasField("value"), ValueError),
        (lambda: proto.Summary().HasField("nope"), ValueError),
        (lambda: proto.Int64List(value=[1.5]), TypeError),
        (lambda: proto.Int64List(value=[1 << 63]), ValueError),
        (lambda: proto.Int64List(value=3), TypeError),
        (lambda: proto.BytesList(value=["a"]), TypeError),
        (lambda: proto.FloatList(value=["a"]), TypeError),
        (lambda: proto.Feature(int64_list=3), TypeError),
        (lambda: setattr(proto.Feature(), "int64_list", proto.Int64List()), AttributeError),
        (lambda: proto.Features().feature.__setitem__("a", proto.Feature()), ValueError),
        (lambda: proto.Example().MergeFrom(proto.Feature()), TypeError),
        (lambda: proto.Summary().value.append(3), TypeError),
        (lambda: proto.AttrValue(type="DT_NOPE"), ValueError),
        (lambda: hash(proto.Summary()), TypeError),
        (lambda: proto.Summary().ParseFromString("text"), TypeError),
        (lambda: proto.Nope, AttributeError),
    ],
)
def test_wrong_use(make, error):
    with pytest.raises(error):
        make()


def test_copies_are_separate():
    node = proto.NodeDef(name="a", attr={"T": proto.AttrValue(type=1)})
    for twin in (copy.deepcopy(node), copy.copy(node), pickle.loads(pickle.dumps(node))):
        assert twin == node
        twin.attr["T"].type = 2
        twin.input.append("b")
        assert node.attr["T"].type == 1 and not node.input


def test_unknown_fields_are_kept():
    data = bytes.fromhex("0a0161" + "a23e027879" + "a83e05")  # name "a", then fields 996 and 997
    node = proto.NodeDef.FromString(data)
    assert node.name == "a" and node.SerializeToString() == data


def test_numbers_packed_or_not():
    plain, packed = bytes.fromhex("08010802"), bytes.fromhex("0a020102")
    assert proto.Int64List.FromString(plain) == proto.Int64List.FromString(packed)
    many = proto.Int64List(value=[-(1 << 63), -1, 0, 127, 128, (1 << 63) - 1] * 40)
    assert proto.Int64List.FromString(many.SerializeToString()) == many


TEXT = r"""
# a checkpoint file, with every way to write a string
model_checkpoint_path: "a\tb\303\251" 'c'
all_model_checkpoint_paths: ["x", "y"]
all_model_checkpoint_timestamps: 1.5e3
all_model_checkpoint_timestamps: -2
"""


def test_text_format():
    state = text.Parse(TEXT, proto.CheckpointState())
    assert state.model_checkpoint_path == "a\tbéc"
    assert state.all_model_checkpoint_paths == ["x", "y"]
    assert state.all_model_checkpoint_timestamps == [1500.0, -2.0]
    assert text.Parse(text.MessageToString(state), proto.CheckpointState()) == state
    node = proto.NodeDef(name="n", op="Const", attr={"dtype": proto.AttrValue(type=1)})
    node.attr["value"].tensor.tensor_content = b"\0\xff\n\"'"
    assert str(node) == (
        'name: "n"\nop: "Const"\nattr {\n  key: "dtype"\n  value {\n    type: DT_FLOAT\n  }\n}\n'
        'attr {\n  key: "value"\n  value {\n    tensor {\n'
        '      tensor_content: "\\000\\377\\n\\"\\\'"\n    }\n  }\n}\n'
    )
    assert text.Parse(str(node), proto.NodeDef()) == node


@pytest.mark.parametrize("bad", ["nope: 1", "name 3", "name: x", "name: 'x", "attr {", "attr: 3"])
def test_text_that_does_not_parse(bad):
    with pytest.raises(text.ParseError, match="line 1"):
        text.Parse(bad, proto.NodeDef())


def test_every_message_survives_empty_and_random_bytes():
    random = np.random.default_rng(0)
    for name in sorted(schema.message_names()):
        kind = message_class(name)
        assert kind().SerializeToString() == b"" and str(kind()) == ""
        for _ in range(20):
            try:
                message = kind.FromString(random.bytes(int(random.integers(40))))
            except proto.DecodeError:
                continue
            assert kind.FromString(message.SerializeToString()) == message


def test_depth_and_sizes_are_checked():
    nested = proto.ControlFlowContextDef()
    inner = nested
    for _ in range(60):
        inner = inner.cond_ctxt.nested_contexts.add()
    with pytest.raises(proto.DecodeError, match="deep"):
        proto.ControlFlowContextDef.FromString(nested.SerializeToString())
    with pytest.raises(proto.DecodeError, match="claims"):
        proto.NodeDef.FromString(bytes.fromhex("0affffffff07"))
