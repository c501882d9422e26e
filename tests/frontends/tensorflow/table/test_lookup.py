"""Lookup tables: filled once, from tensors or files, and buckets for other keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def run(tf: Any, *tensors: Any) -> list[Any]:
    with tf.Session() as session:
        session.run(tf.tables_initializer())
        return [value.tolist() for value in session.run(list(tensors))]


def test_index_of_a_vocabulary(tf: Any) -> None:
    table = tf.contrib.lookup.index_table_from_tensor(["a", "b"], default_value=7)
    back = tf.contrib.lookup.index_to_string_table_from_tensor(["a", "b"])
    ids = table.lookup(tf.constant([["b", "?"]]))
    words = back.lookup(tf.constant([1, 9], tf.int64))
    assert run(tf, ids, words, table.size()) == [[[1, 7]], [b"b", b"UNK"], 2]


def test_other_keys_go_into_buckets(tf: Any) -> None:
    table = tf.contrib.lookup.index_table_from_tensor(["a", "b"], num_oov_buckets=3)
    keys = tf.constant(["a", "q", "b"])
    bucket = tf.string_to_hash_bucket_fast(["q"], 3)
    ids, oov = run(tf, table.lookup(keys), bucket)
    assert ids == [0, 2 + oov[0], 1]


def test_a_file_of_words(tf: Any, tmp_path: Path) -> None:
    path = tmp_path / "words"
    path.write_text("x\ny\nz\n")
    table = tf.contrib.lookup.index_table_from_file(str(path), vocab_size=2)
    assert run(tf, table.lookup(tf.constant(["y", "z"])), table.size()) == [[1, -1], 2]
    with pytest.raises(ValueError, match="vocab_size"):
        tf.contrib.lookup.index_table_from_file(str(path), vocab_size=0)


def test_columns_of_a_file(tf: Any, tmp_path: Path) -> None:
    path = tmp_path / "columns"
    path.write_text("x 5\ny 6\n")
    filled = tf.lookup.TextFileInitializer(str(path), tf.string, 0, tf.int64, 1, delimiter=" ")
    table = tf.lookup.StaticHashTable(filled, -1)
    assert run(tf, table.lookup(tf.constant(["y", "q"]))) == [[6, -1]]


def test_values_of_a_sparse_tensor(tf: Any) -> None:
    table = tf.contrib.lookup.index_table_from_tensor(["a", "b"])
    words = tf.string_split(["b a", "q"])
    assert run(tf, tf.sparse_tensor_to_dense(table.lookup(words), -9)) == [[[1, 0], [-1, -9]]]


def test_a_table_must_be_filled_first(tf: Any) -> None:
    table = tf.contrib.lookup.index_table_from_tensor(["a"])
    found = table.lookup(tf.constant(["a"]))
    with tf.Session() as session, pytest.raises(tf.errors.FailedPreconditionError):
        session.run(found)


def test_a_key_has_one_value(tf: Any) -> None:
    filled = tf.contrib.lookup.KeyValueTensorInitializer(["a", "a"], [1, 2])
    table = tf.contrib.lookup.HashTable(filled, 0)
    with tf.Session() as session, pytest.raises(tf.errors.FailedPreconditionError):
        session.run(table.init)


def test_a_table_that_changes(tf: Any) -> None:
    table = tf.contrib.lookup.MutableHashTable(tf.string, tf.int64, -1)
    insert = table.insert(["a", "b"], [1, 2])
    with tf.Session() as session:
        assert session.run(table.size()) == 0
        session.run(insert)
        assert session.run(table.lookup(tf.constant(["b", "q"]))).tolist() == [2, -1]
        session.run(table.remove(["b"]))
        assert [v.tolist() for v in session.run(table.export())] == [[b"a"], [1]]
    with tf.Session() as session:  # each session has its own
        assert session.run(table.size()) == 0
