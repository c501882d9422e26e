"""Shakespeare's plays as a sequence of characters."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.ngraph.frontends.neon.data.files import local_file


class Shakespeare:
    """The file shakespeare_input.txt in the folder `path`; `train_split` of it is for training.

    `train` and `test` are indices from 1 into the characters of the first; 0 is any other.
    """

    def __init__(
        self,
        path: str = "./data/",
        url: str | None = None,
        filename: str | None = None,
        train_split: float = 0.9,
    ) -> None:
        self.path = path
        self.vocab: list[str] | None = None
        self.url = "http://cs.stanford.edu/people/karpathy/char-rnn/" if url is None else url
        self.filename = "shakespeare_input.txt" if filename is None else filename
        self.train_split = train_split
        train, test = self.load_data()
        self.train = self.digitize(train)
        self.test = self.digitize(test)

    def load_data(self) -> tuple[str, str]:
        """The text for training and the text for testing."""
        with open(local_file(self.path, self.url, self.filename), encoding="utf-8") as file:
            text = file.read()
        count = int(self.train_split * len(text))
        return text[:count], text[count:]

    def build_vocab(self, text: str) -> None:
        """Number the characters of a text."""
        self.vocab = sorted(set(text))
        self.token_to_index = {token: i for i, token in enumerate(self.vocab, 1)}
        self.index_to_token = {i: token for token, i in self.token_to_index.items()}
        self.index_to_token[0] = "<UNK>"
        self.token_to_index["<UNK>"] = 0

    def digitize(self, text: str) -> Any:
        """The numbers of a text's characters; the first text makes the vocabulary."""
        if self.vocab is None:
            self.build_vocab(text)
        return np.asarray([self.token_to_index.get(token, 0) for token in text], dtype=np.uint32)
