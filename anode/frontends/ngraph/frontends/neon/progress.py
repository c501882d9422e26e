"""tqdm, which draws progress bars, imported when it is needed."""

from __future__ import annotations

from typing import Any


def tqdm() -> Any:
    """The class tqdm; ImportError says how to install it."""
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError("progress bars need tqdm: pip install 'anode[neon]'") from error
    return tqdm
