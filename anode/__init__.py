"""anode, a small deep-learning compiler: a whole training step becomes one native function."""

__version__ = "0.1.0"
