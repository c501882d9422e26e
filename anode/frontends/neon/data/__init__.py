"""The data sets and iterators of neon."""

# ruff: noqa: F401 (everything here is exported)

from anode.frontends.neon.data.dataiterator import ArrayIterator, NervanaDataIterator
from anode.frontends.neon.data.datasets import Dataset
from anode.frontends.neon.data.hdf5iterator import (
    HDF5Iterator,
    HDF5IteratorAutoencoder,
    HDF5IteratorOneHot,
)
from anode.frontends.neon.data.image import CIFAR10, DUMMY, MNIST
from anode.frontends.neon.data.imagecaption import (
    Coco,
    Flickr8k,
    Flickr30k,
    ImageCaption,
    ImageCaptionTest,
)
from anode.frontends.neon.data.questionanswer import BABI, QA
from anode.frontends.neon.data.text import IMDB, PTB, SICK, HutterPrize, Shakespeare, Text
from anode.frontends.neon.data.ticker import CopyTask, PrioritySortTask, RepeatCopyTask, Ticker
