"""Flags: absl's ways of reading a command line."""

import enum
import sys

import pytest

from anode.frontends.tensorflow.api import flags as f
from anode.frontends.tensorflow.api.app import run


@pytest.fixture
def values():
    flags = f.FlagValues()
    f.DEFINE_string("data", "d", "help of data", flags)
    f.DEFINE_integer("n", 3, "help of n", lower_bound=1, flag_values=flags)
    f.DEFINE_float("lr", 0.1, "rate", flag_values=flags)
    f.DEFINE_boolean("b", True, "bb", flag_values=flags)
    f.DEFINE_bool("c", False, "cc", flag_values=flags)
    f.DEFINE_list("l", "x,y", "ll", flag_values=flags)
    f.DEFINE_enum("e", "x", ["x", "y"], "ee", flag_values=flags)
    f.DEFINE_multi_integer("m", None, "mm", flag_values=flags)
    f.DEFINE_string("none", None, "nothing", flag_values=flags)
    return flags


def test_defaults_and_first_access_parses(values, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script.py", "--n=7", "--nob"])
    assert not values.is_parsed()
    assert (values.n, values.b, values.data, values.none) == (7, False, "d", None)
    assert values.is_parsed() and values.l == ["x", "y"]


def test_all_ways_to_give_a_value(values):
    line = ["p", "--lr", "2", "-n=0x10", "--nob", "-c", "--l=1, 2", "--m=1", "--m", "2", "rest"]
    assert values(line) == ["p", "rest"]
    assert (values.lr, values.n, values.b, values.c) == (2.0, 16, False, True)
    assert (values.l, values.m, values.e) == (["1", "2"], [1, 2], "x")


def test_flags_may_follow_other_arguments_until_two_dashes(values):
    assert values(["p", "a", "--n=4", "--", "--n=5"]) == ["p", "a", "--n=5"]
    assert values.n == 4


def test_unknown_flags(values):
    with pytest.raises(f.UnrecognizedFlagError, match=r"Unknown command line flag 'datta'.*data"):
        values(["p", "--datta=1"])
    assert values(["p", "--zip=1", "--n=2", "y"], known_only=True) == ["p", "--zip=1", "y"]
    assert values(["p", "--undefok=zip", "--zip=1"]) == ["p"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--n=abc", "flag --n=abc: invalid literal for int"),
        ("--n=0", "flag --n=0: 0 is not a positive integer"),
        ("--e=z", r"flag --e=z: value should be one of <x\|y>"),
        ("--b=maybe", "flag --b=maybe: Non-boolean argument"),
        ("--lr", "Missing value for flag --lr"),
        ("--nob=1", "b does not take an argument"),
    ],
)
def test_bad_values(values, argument, message):
    with pytest.raises(f.Error, match=message):
        values(["p", argument])


def test_setting_in_the_program(values):
    values.n = 5
    assert values.flag_values_dict()["n"] == 5 == values["n"].value
    with pytest.raises(f.IllegalFlagValueError, match="-1 is not a positive integer"):
        values.n = -1
    with pytest.raises(f.UnrecognizedFlagError, match="nn"):
        values.nn = 1
    values.unparse_flags()
    assert values["n"].value == 3


def test_names_that_are_not_flags(values):
    values(["p"])
    with pytest.raises(AttributeError, match="nope"):
        _ = values.nope
    assert "n" in values and "nope" not in values and list(values)[:2] == ["data", "n"]
    assert values.__flags["n"].default == 3


def test_a_flag_twice(values):
    with pytest.raises(f.DuplicateFlagError, match=r"'data' is defined twice.*help of data"):
        f.DEFINE_string("data", "", "", values)
    f.DEFINE_string("data2", "", "", flag_values=values, allow_override=True)
    f.DEFINE_string("data2", "new", "", flag_values=values)
    assert values["data2"].value == "new"


def test_old_names_of_arguments(values):
    f.DEFINE_integer(flag_name="old", default_value=3, docstring="", flag_values=values)
    assert values(["p", "--old=4"]) == ["p"] and values.old == 4


def test_validators(values):
    f.mark_flag_as_required("none", values)
    f.register_validator("lr", lambda rate: rate < 5, "too big", values)
    with pytest.raises(f.IllegalFlagValueError, match="--none must have a value"):
        values(["p"])
    with pytest.raises(f.IllegalFlagValueError, match=r"flag --lr=7\.0: too big"):
        values(["p", "--none=1", "--lr=7"])
    f.mark_flags_as_mutual_exclusive(["none", "m"], flag_values=values)
    with pytest.raises(f.IllegalFlagValueError, match="At most one of"):
        values(["p", "--none=1", "--m=1", "--lr=1"])


def test_enum_classes_and_files(values, tmp_path):
    Kind = enum.Enum("Kind", "small large")
    f.DEFINE_enum_class("kind", Kind.small, Kind, "which", flag_values=values)
    path = tmp_path / "flags.txt"
    path.write_text("# a comment\n--kind=large\n\n--n=9\n")
    assert values(["p", f"--flagfile={path}"]) == ["p"]
    assert values.kind is Kind.large and values.n == 9


def test_help_and_text(values):
    text = values.main_module_help()
    assert "--[no]b: bb" in text and "(default: '3')" in text and "(a positive integer)" in text
    values(["p", "--n=4", "--m=1", "--m=2"])
    lines = values.flags_into_string().splitlines()
    assert "--n=4" in lines and "--m=2" in lines and "--b" in lines and "--noc" in lines
    assert list(f.flag_dict_to_args({"a": 1, "b": False, "c": None, "d": [1, 2]})) == [
        *("--a=1", "--nob", "--c", "--d=1,2"),
    ]


def test_app_run_passes_what_is_not_a_flag():
    seen = []
    with pytest.raises(SystemExit) as stopped:
        run(lambda argv: seen.append(argv) or 3, ["p", "--unknown_to_anode=1", "x"])
    assert stopped.value.code == 3
    assert seen == [["p", "--unknown_to_anode=1", "x"]]


def test_app_run_without_main_takes_the_scripts(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "main", lambda argv: None, raising=False)
    with pytest.raises(SystemExit) as stopped:
        run(argv=["p"])
    assert stopped.value.code is None


def test_app_help(capsys):
    with pytest.raises(SystemExit) as stopped:
        run(lambda argv: None, ["p", "--help"])
    assert stopped.value.code == 1 and "flags:" in capsys.readouterr().out
