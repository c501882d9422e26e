"""Times of models."""

from anode.frontends.neon.benchmark.benchmark import Benchmark

__all__ = ["Benchmark"]
