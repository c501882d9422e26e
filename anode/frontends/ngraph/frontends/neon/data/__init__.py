"""Data sets: arrays with the names of their axes, or sequences of tokens."""

from __future__ import annotations

from anode.frontends.ngraph.frontends.neon.data.cifar10 import CIFAR10
from anode.frontends.ngraph.frontends.neon.data.cifar100 import CIFAR100
from anode.frontends.ngraph.frontends.neon.data.imdb import IMDB
from anode.frontends.ngraph.frontends.neon.data.librispeech import Librispeech
from anode.frontends.ngraph.frontends.neon.data.mnist import MNIST
from anode.frontends.ngraph.frontends.neon.data.ptb import PTB
from anode.frontends.ngraph.frontends.neon.data.shakespeare import Shakespeare

__all__ = ["CIFAR10", "CIFAR100", "IMDB", "MNIST", "PTB", "Librispeech", "Shakespeare"]
