"""Callbacks: what else happens while a model trains."""

from anode.frontends.neon.callbacks.callbacks import Callbacks

__all__ = ["Callbacks"]
