import gc

import pytest

from anode.errors import DataError
from anode.frontends.ngraph.util import persist
from anode.frontends.ngraph.util.names import (
    NameableValue,
    NameScope,
    ScopedNameableValue,
    get_current_name_scope,
    get_full_scope_name,
    name_scope,
)
from anode.frontends.ngraph.util.ordered import OrderedSet


class Thing(NameableValue):
    pass


def test_names_are_unique_while_their_objects_live():
    first, second = Thing("thing"), Thing("thing")
    assert first.name == "thing" and second.name == "thing_0"
    assert NameableValue.get_object_by_name("thing") is first
    assert Thing("thing").named("renamed").name == "renamed"
    del first
    gc.collect()
    assert Thing("thing").name == "thing"
    assert Thing().name == "Thing" and Thing("a b.c").safe_name == "a_b_c"
    with pytest.raises(ValueError, match="string"):
        Thing(second)


def test_scopes_nest_and_are_reused_on_request():
    with name_scope("outer_scope") as outer:
        assert get_current_name_scope() is outer
        value = ScopedNameableValue("value")
        assert value.name == "outer_scope/value" and value.unscoped_name == "value"
        assert value.scope is outer
        with name_scope("inner"):
            assert get_full_scope_name() == "outer_scope/inner"
            assert ScopedNameableValue("value").name == "outer_scope/inner/value"
    assert get_full_scope_name() is None and ScopedNameableValue("free").scope is None
    with name_scope("outer_scope", reuse_scope=True) as again:
        assert again is outer
    with name_scope("outer_scope") as other:
        assert other is not outer and isinstance(other, NameScope)


def test_files(tmp_path, monkeypatch):
    assert persist.valid_path_append(str(tmp_path / "new"), "a") == str(tmp_path / "new" / "a")
    assert len(persist.valid_path_append(str(tmp_path), "a", "b")) == 2
    path = persist.ensure_dirs_exist(str(tmp_path / "x" / "y.txt"))
    assert (tmp_path / "x").is_dir() and path.endswith("y.txt")
    monkeypatch.delenv("NGRAPH_DATA_CACHE_DIR", raising=False)
    assert persist.get_data_cache_or_nothing("d") == ""
    monkeypatch.setenv("NGRAPH_DATA_CACHE_DIR", str(tmp_path))
    assert persist.get_data_cache_or_nothing("d") == str(tmp_path / "d")
    target = tmp_path / "copy"
    (tmp_path / "source").write_bytes(b"data")
    persist.fetch_file(tmp_path.as_uri(), "source", str(target))
    assert target.read_bytes() == b"data"
    with pytest.raises(DataError, match="by hand"):
        persist.fetch_file(tmp_path.as_uri(), "missing", str(tmp_path / "z"))


def test_ordered_set():
    a = OrderedSet([3, 1, 3, 2])
    assert list(a) == [3, 1, 2] and a[0] == 3 and len(a) == 3
    assert list(a | OrderedSet([5, 1])) == [3, 1, 2, 5]
    assert list(a - OrderedSet([3])) == [1, 2]
    a.discard(1)
    a.update([9])
    assert list(a) == [3, 2, 9]
