"""HParams: settings by attribute, text, dictionary and JSON."""

import pytest


def test_settings(tf):
    h = tf.contrib.training.HParams(rate=0.1, layers=[1, 2], name="x", deep=True)
    assert (h.rate, h.layers, "rate" in h, h.get("none", 3)) == (0.1, [1, 2], True, 3)
    h.parse("rate=0.5, layers=[3,4,5],name=y z,deep=false")
    assert h.values() == {"rate": 0.5, "layers": [3, 4, 5], "name": "y z", "deep": False}
    h.parse("layers[1]=9").override_from_dict({"rate": 2}).parse_json('{"name": "j"}')
    assert (h.layers, h.rate, h.name) == ([3, 9, 5], 2.0, "j")
    assert h.to_json(sort_keys=True).startswith('{"deep": false')
    assert str(h).startswith("[('deep', False)")
    h.add_hparam("more", 1)
    h.set_hparam("more", 5)
    h.del_hparam("name")
    assert "name" not in h and h.more == 5


def test_errors(tf):
    h = tf.contrib.training.HParams(n=1, many=[1.0])
    for text in ("x=1", "n=1.5", "n=[1]", "many=2", "n=1,n=2", "?"):
        with pytest.raises(ValueError, match=r"[A-Z].*"):
            h.parse(text)
    with pytest.raises(KeyError):
        h.override_from_dict({"x": 1})
    with pytest.raises(ValueError, match="reserved"):
        h.add_hparam("n", 2)
    with pytest.raises(ValueError, match="cannot be empty"):
        h.add_hparam("none", [])
