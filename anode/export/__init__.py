"""Archives: models, graphs and training steps in one file, read without the classes they had."""

from anode.export.archives import Archive, Function, archive, load, save

__all__ = ["Archive", "Function", "archive", "load", "save"]
