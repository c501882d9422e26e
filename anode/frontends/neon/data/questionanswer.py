"""Questions about stories: the bAbI tasks, and an iterator over stories, questions, answers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from anode.errors import DataError
from anode.frontends.neon import logger as neon_logger
from anode.frontends.neon.data.dataiterator import NervanaDataIterator
from anode.frontends.neon.data.datasets import Dataset, unpack_tar
from anode.frontends.neon.data.text_preprocessing import pad_sentences

Parsed = list[tuple[list[str], list[str], str]]  # of words: story, question; the answer
TASKS = (
    "qa1_single-supporting-fact",
    "qa2_two-supporting-facts",
    "qa3_three-supporting-facts",
    "qa4_two-arg-relations",
    "qa5_three-arg-relations",
    "qa6_yes-no-questions",
    "qa7_counting",
    "qa8_lists-sets",
    "qa9_simple-negation",
    "qa10_indefinite-knowledge",
    "qa11_basic-coreference",
    "qa12_conjunction",
    "qa13_compound-coreference",
    "qa14_time-reasoning",
    "qa15_basic-deduction",
    "qa16_basic-induction",
    "qa17_positional-reasoning",
    "qa18_size-reasoning",
    "qa19_path-finding",
    "qa20_agents-motivations",
)


class QA(NervanaDataIterator):
    """Minibatches ((story, question), answer) of arrays with a row for each example.

    Each epoch shuffles the rows by the backend's generator; rows that fill no minibatch are left
    out.
    """

    nbatches: int  # type: ignore[assignment]

    def __init__(self, story: np.ndarray, query: np.ndarray, answer: np.ndarray) -> None:
        super().__init__(name=None)
        self.story, self.query, self.answer = story, query, answer
        self.ndata = len(story)
        self.nbatches = self.ndata // self.be.bsz
        self.story_length, self.query_length = story.shape[1], query.shape[1]
        self.shape = [(self.story_length, 1), (self.query_length, 1)]
        self.batch_index = 0

    def __iter__(self) -> Iterator[Any]:
        order = self.be.rng.permutation(len(self.story))
        self.story, self.query = self.story[order], self.query[order]
        self.answer = self.answer[order]
        self.batch_index, size = 0, self.be.bsz
        while self.batch_index < self.nbatches:
            rows = slice(self.batch_index * size, (self.batch_index + 1) * size)
            story, query, answer = (
                self.be.array(part[rows].T.copy()) for part in (self.story, self.query, self.answer)
            )
            self.batch_index += 1
            yield (story, query), answer

    def reset(self) -> None:
        """Begin with the first minibatch again, as each epoch does anyway."""
        self.batch_index = 0


class BABI(Dataset):
    """One of Facebook's 20 bAbI tasks, from tasks_1-20_v1-2.tar.gz.

    `train` and `test` are arrays (story, question, answer) for `QA`: words as numbers from 1 on,
    padded with 0 on the left, answers one-hot; `vocab_size − 1` is an unknown word. `subset` is a
    folder of the archive: en, hn, shuffled, or one of these with -10k.
    """

    def __init__(
        self, path: str = ".", task: str = "qa1_single-supporting-fact", subset: str = "en"
    ) -> None:
        super().__init__(
            "tasks_1-20_v1-2.tar.gz",
            "http://www.thespermwhale.com/jaseweston/babi",
            11745123,
            path=path,
        )
        self.task, self.subset, self.tasks = task, subset, list(TASKS)
        neon_logger.display(f"Preparing bAbI dataset or extracting from {path}")
        neon_logger.display(f"Task is {subset}/{task}")
        if task not in TASKS:
            raise AssertionError(f"the bAbI data set has no task {task!r}")
        self.train_file, self.test_file = self.load_data(path, task, subset)
        self.train_parsed = BABI.parse_babi(self.train_file)
        self.test_parsed = BABI.parse_babi(self.test_file)
        self.compute_statistics()
        self.train = self.vectorize_stories(self.train_parsed)
        self.test = self.vectorize_stories(self.test_parsed)

    def load_data(
        self, path: str = ".", task: str = "qa1_single-supporting-fact", subset: str = "en"
    ) -> tuple[str, str]:
        """The paths of a task's training and test texts, unpacked or fetched if absent."""
        folder, archive = self._valid_path_append(path, "", self.filename)
        stem = f"{self.filename.split('.')[0]}/{subset}/{task}"
        names = f"{stem}_train.txt", f"{stem}_test.txt"
        train, test = (os.path.join(folder, name) for name in names)
        if not (os.path.exists(train) and os.path.exists(test)):
            if not os.path.exists(archive):
                self.fetch_dataset(self.url, self.filename, archive, self.size)
            unpack_tar(archive, folder, names)
        return train, test

    @staticmethod
    def data_to_list(data: str) -> list[str]:
        """The lines of a text that ends with a line break, without blanks around them."""
        return [line.strip() for line in data.split("\n")[:-1]]

    @staticmethod
    def tokenize(sentence: str) -> list[str]:
        """The words and marks of a sentence."""
        return [part.strip() for part in re.split(r"(\W+)", sentence) if part.strip()]

    @staticmethod
    def flatten(data: Iterable[list[Any]]) -> list[Any]:
        """Lists of words as one."""
        return list(chain.from_iterable(data))

    @staticmethod
    def parse_babi(babi_file: str) -> Parsed:
        """The words of each question's story so far, those of the question, and the answer."""
        with open(babi_file, encoding="utf-8") as file:
            lines = BABI.data_to_list(file.read())
        found: Parsed = []
        story: list[list[str]] = []
        for line in lines:
            try:
                number, text = line.split(" ", 1)
                if int(number) == 1:
                    story = []
                question, *rest = text.split("\t")
                if rest:
                    found.append((BABI.flatten(story), BABI.tokenize(question), rest[0]))
                else:
                    story.append(BABI.tokenize(text))
            except ValueError:
                raise DataError(
                    f"{babi_file}: {line!r} is no line of a bAbI task; fetch it again"
                ) from None
        return found

    def words_to_vector(self, words: Iterable[str]) -> list[int]:
        """The numbers of words."""
        return [self.word_to_index.get(word, self.vocab_size - 1) for word in words]

    def one_hot_vector(self, answer: str) -> np.ndarray:
        """The one-hot vector of a word."""
        vector = np.zeros(self.vocab_size)
        vector[self.word_to_index[answer]] = 1
        return vector

    def vectorize_stories(self, data: Parsed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Stories, questions and answers as arrays with a row for each."""
        stories = [self.words_to_vector(story) for story, _, _ in data]
        questions = [self.words_to_vector(question) for _, question, _ in data]
        return (
            pad_sentences(stories, self.story_maxlen),
            pad_sentences(questions, self.query_maxlen),
            np.array([self.one_hot_vector(answer) for _, _, answer in data]),
        )

    def compute_statistics(self) -> None:
        """Find the vocabulary and the lengths of the longest story and question."""
        parsed: Sequence[Any] = self.train_parsed + self.test_parsed
        self.vocab = sorted({word for s, q, a in parsed for word in (*s, *q, a)})
        self.vocab_size = len(self.vocab) + 2  # 0 pads, the last is unknown
        self.index_to_word = dict(enumerate(self.vocab, 1))
        self.word_to_index = {word: i for i, word in self.index_to_word.items()}
        self.story_maxlen = max(len(story) for story, _, _ in parsed)
        self.query_maxlen = max(len(question) for _, question, _ in parsed)
