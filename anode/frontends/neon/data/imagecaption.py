"""Images, as the features of a network, and sentences about them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from anode.data.pickles import read_value
from anode.errors import DataError
from anode.frontends.layers.bleu import bleu
from anode.frontends.neon import logger as neon_logger
from anode.frontends.neon.data.dataiterator import NervanaDataIterator, onehot
from anode.frontends.neon.data.datasets import MAX_BYTES, Dataset

URL = "https://s3-us-west-1.amazonaws.com/neon-stockdatasets/image-caption"
LEAST_COUNT = 5  # of a word that is in the vocabulary
LONGEST = 20  # words of a predicted sentence


class ImageCaption(NervanaDataIterator):
    """Minibatches ((features, sentence), (target, mask)) of `path`/features.pkl.gz.

    The pickle is a dictionary with `feats`, (4096, images), and `sents`, whose `train` and `test`
    are lists of images {imgid, sentences: [{tokens}]}. Sentences are one-hot, begin with the end
    token, and are masked after their end. Each epoch shuffles by the backend's generator.
    """

    end_token = "."
    image_size = 4096  # of the VGG network's features
    nbatches: int  # type: ignore[assignment]

    def __init__(self, path: str, max_images: int = -1) -> None:
        super().__init__(name=None)
        self.path = path
        neon_logger.display(f"Reading train images and sentences from {path}")
        self.read_images("train")
        self.load_vocab()
        sentences: list[list[str]] = []
        images = []
        for pair in self.iterImageSentencePair():
            if 0 < max_images < len(sentences):
                break
            words = [word for word in pair["sentence"]["tokens"] if word in self.vocab_to_index]
            sentences.append([self.end_token, *words][: self.max_sentence_length])
            images.append(pair["image"])
        self._count(len(images))
        self.images = np.vstack(images)
        self.X = np.zeros((len(sentences), self.max_sentence_length))
        self.y = np.zeros((len(sentences), self.max_sentence_length + 1))
        self.sent_length = np.array([len(sentence) + 1 for sentence in sentences])
        for row, sentence in zip(self.X, sentences, strict=True):
            row[: len(sentence)] = [self.vocab_to_index[word] for word in sentence]
        self.y[:, :-1] = self.X

    def _count(self, images: int) -> None:
        self.nbatches = images // self.be.bsz
        self.ndata = self.nbatches * self.be.bsz

    def load_vocab(self) -> None:
        """Find the words that occur five times or more, and make the tensors."""
        sentences = [sentence["tokens"] for sentence in self.iterSentences()]
        counts = Counter(word for sentence in sentences for word in sentence)
        vocab = [self.end_token, *(word for word in counts if counts[word] >= LEAST_COUNT)]
        self.vocab_size = len(vocab)
        self.index_to_vocab = dict(enumerate(vocab))
        self.vocab_to_index = {word: i for i, word in self.index_to_vocab.items()}
        counts[self.end_token] = len(sentences)
        share = np.array([[1.0 * counts[word]] for word in vocab])
        bias = np.log(share / np.sum(share))
        self.bias_init = bias - np.max(bias)  # for the last layer's bias
        self.max_sentence_length = max(map(len, sentences)) + 1
        self.shape = [self.image_size, (self.vocab_size, self.max_sentence_length)]
        self._allocate()
        neon_logger.display(
            f"Vocab size: {self.vocab_size}, Max sentence length: {self.max_sentence_length}"
        )

    def _allocate(self) -> None:
        steps = self.max_sentence_length
        self.dev_image = self.be.iobuf(self.image_size)
        self.dev_X = self.be.iobuf((self.vocab_size, steps))
        self.dev_y = self.be.iobuf((self.vocab_size, steps + 1))
        self.dev_y_mask = self.be.iobuf((self.vocab_size, steps + 1))

    def read_images(self, split: str) -> None:
        """Read the file and take the sentences of the part "train" or "test"."""
        path = os.path.join(self.path, "features.pkl.gz")
        try:
            self.dataset = read_value(path, MAX_BYTES)
            self.sent_data = self.dataset["sents"][split]
            self.features = self.dataset["feats"]
        except (KeyError, TypeError, IndexError):
            raise DataError(f"{path}: has no 'feats' and no 'sents' of {split!r}") from None

    def __iter__(self) -> Iterator[Any]:
        order = self.be.rng.permutation(len(self.X))
        self.X, self.y, self.images = self.X[order], self.y[order], self.images[order]
        self.sent_length = self.sent_length[order]
        for batch in range(self.nbatches):
            rows = slice(batch * self.be.bsz, (batch + 1) * self.be.bsz)
            mask = self._mask(self.sent_length[rows])
            self.dev_image.set(self.images[rows].T)
            self.dev_X.set(self._onehot(self.X[rows]))
            self.dev_y_mask.set(mask)
            self.dev_y.set(self._onehot(self.y[rows]) * mask)
            yield (self.dev_image, self.dev_X), (self.dev_y, self.dev_y_mask)

    def _onehot(self, words: np.ndarray) -> np.ndarray:
        """One-hot columns, step by step, of words (batch, steps)."""
        labels = words.T.reshape(-1).astype(np.int64)
        return onehot(labels, self.vocab_size, self.be.default_dtype)

    def _mask(self, lengths: np.ndarray) -> np.ndarray:
        """1 up to the end of each sentence, then 0, the same for all words."""
        steps = np.arange(self.max_sentence_length + 1)[:, np.newaxis]
        kept = (steps <= lengths).reshape(1, -1).astype(self.be.default_dtype)
        return np.repeat(kept, self.vocab_size, axis=0)

    def prob_to_word(self, prob: Any) -> list[str]:
        """The sentences of word probabilities (vocabulary, steps · batch)."""
        columns = prob if isinstance(prob, np.ndarray) else prob.get()
        chosen = np.argmax(columns, axis=0).reshape(-1, self.be.bsz)
        return [self._sentence(column) for column in chosen[: self.max_sentence_length].T]

    def _sentence(self, chosen: Iterable[int]) -> str:
        """Words up to the end token, without counting the one it begins with."""
        sentence = []
        for i, word in enumerate(chosen):
            sentence.append(self.index_to_vocab[int(word)])
            if i >= LONGEST or (i > 0 and sentence[-1] == self.end_token):
                break
        return " ".join(sentence)

    def predict(self, model: Any) -> tuple[list[str], list[Any]]:
        """A model's sentences for the images of this data set, and the targets.

        Each word is the likeliest after those before it.
        """
        sentences: list[str] = []
        targets: list[Any] = []
        y = self.be.zeros(self.dev_X.shape)
        for x, t in self:
            y.fill(0)
            for step in range(1, self.max_sentence_length + 1):
                prob = model.fprop((x[0], y), inference=True).get()[:, : -self.be.bsz]
                chosen = np.argmax(prob, axis=0)
                chosen[step * self.be.bsz :] = -1
                y[:] = onehot(chosen, len(prob), prob.dtype)
            sentences += self.prob_to_word(y)
            if isinstance(self, ImageCaptionTest):
                targets += t[0]
            else:
                targets.append(t[0])
        return sentences, targets

    def bleu_score(self, sents: list[str], targets: list[list[str]]) -> float:
        """The BLEU of sentences against several references each, shown and given in per cent.

        Both are written beside the data, as the files output, reference0, reference1, …
        """
        neon_logger.display(f"Writing output and reference sents to dir {self.path}")
        hypotheses = [sentence.strip(self.end_token).split() for sentence in sents]
        self._write("output", (" ".join(words) for words in hypotheses))
        for i in range(len(targets[0])):
            self._write(f"reference{i}", (references[i] for references in targets))
        references = [[text.split() for text in texts] for texts in targets]
        found = bleu(hypotheses, references)
        neon_logger.display(str(found))
        return found.score

    def _write(self, name: str, lines: Iterable[str]) -> None:
        with open(os.path.join(self.path, name), "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)

    def _getImage(self, img: dict[str, Any]) -> np.ndarray:
        found: np.ndarray = self.features[:, img["imgid"]]
        return found

    def iterSentences(self) -> Iterator[dict[str, Any]]:
        """All sentences."""
        for image in self.sent_data:
            yield from image["sentences"]

    def iterImageSentencePair(self) -> Iterator[dict[str, Any]]:
        """Each sentence with the features of its image."""
        for image in self.sent_data:
            for sentence in image["sentences"]:
                yield {"image": self._getImage(image), "sentence": sentence}

    def iterImageSentenceGroup(self) -> Iterator[dict[str, Any]]:
        """Each image's features with all its sentences."""
        for image in self.sent_data:
            yield {"image": self._getImage(image), "sentences": image["sentences"]}


class ImageCaptionTest(ImageCaption):
    """The test images, with lists of reference sentences as targets."""

    def __init__(self, path: str) -> None:
        NervanaDataIterator.__init__(self)
        self.path = path
        neon_logger.display(f"Reading test images and sentences from {path}")
        self.read_images("train")  # the vocabulary is the training set's
        self.load_vocab()
        self.read_images("test")
        groups = list(self.iterImageSentenceGroup())
        self._count(len(groups))
        self.images = np.vstack([group["image"] for group in groups])
        self.ref_sents = [
            [" ".join(sentence["tokens"]) for sentence in group["sentences"]] for group in groups
        ]

    def __iter__(self) -> Iterator[Any]:
        for batch in range(self.nbatches):
            rows = slice(batch * self.be.bsz, (batch + 1) * self.be.bsz)
            self.dev_image.set(self.images[rows].T)
            yield (self.dev_image, self.dev_X), (self.ref_sents[rows], None)


class _Captions(Dataset):
    """A set of captions; `filename` is a zip of a folder with features.pkl.gz."""

    def __init__(self, filename: str, size: int, path: str, max_images: int) -> None:
        super().__init__(filename, URL, size, path=path)
        self.max_images = max_images

    def load_data(self) -> str:
        """The folder of the data."""
        return self.load_zip(self.filename, self.size)

    def gen_iterators(self) -> dict[str, Any]:
        """The iterators "train" and "test"."""
        folder = self.load_data()
        self._data_dict = {
            "train": ImageCaption(path=folder, max_images=self.max_images),
            "test": ImageCaptionTest(path=folder),
        }
        return self._data_dict


class Flickr8k(_Captions):
    """The 8,000 photographs of Flickr8k, each with five sentences."""

    def __init__(self, path: str = ".", max_images: int = -1) -> None:
        super().__init__("flickr8k.zip", 49165563, path, max_images)


class Flickr30k(_Captions):
    """The 30,000 photographs of Flickr30k, each with five sentences."""

    def __init__(self, path: str = ".", max_images: int = -1) -> None:
        super().__init__("flickr30k.zip", 49165563, path, max_images)


class Coco(_Captions):
    """The photographs of MSCOCO, each with five sentences."""

    def __init__(self, path: str = ".", max_images: int = -1) -> None:
        super().__init__("coco.zip", 738051031, path, max_images)
