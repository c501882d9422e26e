"""Files: directories, pickles, and where data lie."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

from anode.errors import DataError


def ensure_dirs_exist(path: str) -> str:
    """`path` itself, after the directories on the way to it have been made."""
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    return path


def get_data_cache_or_nothing(subdir: str = "") -> str:
    """`subdir` of the folder that NGRAPH_DATA_CACHE_DIR names, or "" where that is not set."""
    root = os.environ.get("NGRAPH_DATA_CACHE_DIR", "")
    return ensure_dirs_exist(os.path.join(root, subdir)) if root else ""


def valid_path_append(path: str, *args: str) -> Any:
    """`path`, made if need be, or the paths of `args` in it: one, or a list of several."""
    folder = os.path.expanduser(path)
    os.makedirs(folder, exist_ok=True)
    if not args:
        return path
    found = [os.path.join(folder, name) for name in args]
    return found[0] if len(found) == 1 else found


def pickle_load(filepath: Any) -> Any:
    """The object in a pickle of Python 2 or 3, an open file or a path."""
    if isinstance(filepath, (str, os.PathLike)):
        with open(filepath, "rb") as file:
            return pickle.load(file, encoding="latin1")
    return pickle.load(filepath, encoding="latin1")


def fetch_file(url: str, sourcefile: str, destfile: str, totalsz: int | None = None) -> None:
    """Download `url`/`sourcefile` to `destfile`; DataError where that is not possible."""
    from urllib.error import URLError
    from urllib.request import Request, urlopen

    address = url.rstrip("/") + "/" + sourcefile
    print(f"Downloading file to: {destfile}")
    partial = Path(f"{destfile}.partial")
    try:
        request = Request(address, headers={"User-Agent": "anode"})
        with urlopen(request, timeout=60) as source, partial.open("wb") as file:
            while block := source.read(1 << 20):
                file.write(block)
    except (URLError, OSError) as error:
        partial.unlink(missing_ok=True)
        raise DataError(
            f"{address} cannot be downloaded ({error}); put the file at {destfile} by hand"
        ) from error
    partial.replace(destfile)
    print("Download Complete")
