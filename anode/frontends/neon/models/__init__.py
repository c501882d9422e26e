"""neon's models."""

from anode.frontends.neon.models.model import GAN, Model

__all__ = ["GAN", "Model"]
