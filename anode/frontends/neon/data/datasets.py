"""Data sets: files that are fetched when they are not there, and iterators over them."""

from __future__ import annotations

import os
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from anode.errors import DataError
from anode.frontends.neon import NervanaObject
from anode.frontends.neon import logger as neon_logger

MAX_BYTES = 8 << 30  # of a download, and of what an archive unpacks to
CHUNK = 1 << 20
SECONDS = 30  # without an answer


class Dataset(NervanaObject):
    """A stock data set: `filename` at `url`, `size` bytes, kept in the folder `path`."""

    def __init__(
        self, filename: Any, url: str, size: Any, path: str = ".", subset_pct: float = 100
    ) -> None:
        super().__init__(name=None)
        self.filename, self.url, self.size, self.path = filename, url, size, path
        self.subset_pct = subset_pct
        self._data_dict: dict[str, Any] | None = None
        if not 0 < subset_pct <= 100:
            raise ValueError(f"subset_pct is {subset_pct}, no percentage above 0")

    def serialize(self) -> dict[str, Any]:
        """The description from which `gen_class` makes this data set again."""
        return self.get_description()

    def load_zip(self, filename: str, size: int) -> str:
        """The path of a file of this data set, fetched if it is absent; a zip is unpacked."""
        folder, path = self._valid_path_append(self.path, "", filename)
        unpacked = path.split(".zip")[0]
        if not os.path.exists(path):
            if path != unpacked and os.path.exists(unpacked):
                return unpacked
            self.fetch_dataset(self.url, filename, path, size)
        if path != unpacked:
            unpack_zip(path, folder)
        return unpacked

    @staticmethod
    def _valid_path_append(path: str, *args: str) -> Any:
        """The folder `path`, made if it is absent, and paths of `args` in it."""
        folder = os.path.expanduser(path)
        os.makedirs(folder, exist_ok=True)
        found = [os.path.join(folder, name) for name in args]
        if not found:
            return path
        return found[0] if len(found) == 1 else found

    @staticmethod
    def fetch_dataset(url: str, sourcefile: str, destfile: str, totalsz: float) -> None:
        """Download `sourcefile` from the address `url` to `destfile`.

        Raises DataError, with where to put the file by hand, if it cannot be had.
        """
        address = f"{url.rstrip('/')}/{sourcefile}"
        partial = f"{destfile}.part"
        try:
            request = Request(address, headers={"User-Agent": "neon"})
            with urlopen(request, timeout=SECONDS) as source, open(partial, "wb") as file:
                neon_logger.display(f"Downloading file: {destfile}")
                _copy(source, file, totalsz)
            os.replace(partial, destfile)
        except (URLError, OSError, ValueError) as error:
            if os.path.exists(partial):
                os.remove(partial)
            reason = getattr(error, "reason", error)
            raise DataError(
                f"{destfile} is not there and {address} cannot be fetched ({reason}); put the file "
                "there, or another folder's name after -w (`anode data legacy` makes some of them)"
            ) from error
        neon_logger.display("Download Complete")

    def gen_iterators(self) -> dict[str, Any]:
        """The iterators by the name of their part, such as "train" and "valid"."""
        raise NotImplementedError(f"{type(self).__name__} has no gen_iterators")

    @property
    def data_dict(self) -> dict[str, Any]:
        """What `gen_iterators` gives, made once."""
        if self._data_dict is None:
            self._data_dict = self.gen_iterators()
        return self._data_dict

    def get_iterator(self, setname: str) -> Any:
        """The iterator of one part."""
        if setname not in self.data_dict:
            raise AssertionError(
                f"no iterator for set {setname}; there are {', '.join(map(str, self.data_dict))}"
            )
        return self.data_dict[setname]

    @property
    def train_iter(self) -> Any:
        """The iterator of the training set."""
        return self.get_iterator("train")

    @property
    def valid_iter(self) -> Any:
        """The iterator of the validation set."""
        return self.get_iterator("valid")

    @property
    def test_iter(self) -> Any:
        """The iterator of the test set."""
        return self.get_iterator("test")


def _copy(source: Any, file: Any, total: float) -> None:
    """Copy a download into a file and draw how far it is."""
    read = 0
    while data := source.read(CHUNK):
        read += len(data)
        if read > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES} bytes")
        file.write(data)
        bar = "█" * min(50, int(50 * read / max(total, 1)))
        sys.stdout.write(f"\rDownload Progress |{bar:<50}| ")
        sys.stdout.flush()


def unpack_zip(path: str, folder: str) -> None:
    """Unpack a zip file, but for files that are there already with their size."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.infolist()
            if sum(info.file_size for info in found) > MAX_BYTES:
                raise DataError(f"{path}: unpacks to more than {MAX_BYTES} bytes")
            for info in found:
                target = os.path.join(folder, info.filename)
                if not (os.path.isfile(target) and os.path.getsize(target) == info.file_size):
                    archive.extract(info, folder)  # which keeps inside the folder
    except zipfile.BadZipFile as error:
        raise DataError(f"{path}: damaged zip file ({error}); fetch it again") from error


def unpack_tar(path: str, folder: str, names: Iterable[str]) -> None:
    """Unpack the files called `names` of a tar; nothing else of it is written.

    Raises DataError for a tar that is damaged or lacks one of them.
    """
    wanted = set(names)
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = os.path.normpath(member.name)
                if name in wanted and member.isfile():
                    _write(archive.extractfile(member), os.path.join(folder, name), member.size)
                    wanted.remove(name)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{path}: cannot be unpacked ({error}); fetch it again") from error
    if wanted:
        raise DataError(f"{path}: has no {', '.join(sorted(wanted))}; fetch it again")


def _write(source: Any, path: str, size: int) -> None:
    if size > MAX_BYTES:
        raise OSError(f"{path} would take {size} bytes")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.part", "wb") as file:
        while data := source.read(CHUNK):
            file.write(data)
    os.replace(f"{path}.part", path)
