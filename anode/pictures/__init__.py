"""Pictures of what a model has learnt, as PNG files: they need Pillow."""

from anode.pictures.curves import learning_curves
from anode.pictures.digits import digit_sheet

__all__ = ["digit_sheet", "learning_curves"]
