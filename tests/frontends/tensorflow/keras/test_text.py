"""Texts and sequences as numbers."""

import numpy as np


def test_words_are_numbered_by_how_often_they_occur(tf):
    tokenizer = tf.keras.preprocessing.text.Tokenizer(num_words=3)
    tokenizer.fit_on_texts(["the cat, the dog", "The bird"])
    assert tokenizer.word_index == {"the": 1, "cat": 2, "dog": 3, "bird": 4}
    assert tokenizer.texts_to_sequences(["the dog cat"]) == [[1, 2]]
    matrix = tokenizer.texts_to_matrix(["the the cat"], mode="count")
    np.testing.assert_array_equal(matrix, [[0, 2, 1]])


def test_sequences_are_cut_and_filled(tf):
    pad = tf.keras.preprocessing.sequence.pad_sequences
    np.testing.assert_array_equal(pad([[1], [2, 3, 4]], maxlen=2), [[0, 1], [3, 4]])
    found = pad([[1], [2, 3, 4]], maxlen=2, padding="post", truncating="post", value=9)
    np.testing.assert_array_equal(found, [[1, 9], [2, 3]])


def test_classes_become_rows(tf):
    np.testing.assert_array_equal(tf.keras.utils.to_categorical([0, 2]), [[1, 0, 0], [0, 0, 1]])
