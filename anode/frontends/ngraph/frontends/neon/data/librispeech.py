"""LibriSpeech: recordings and their transcripts as a manifest for aeon."""

from __future__ import annotations

import os
from pathlib import Path

from anode.frontends.ngraph.frontends.neon.data.files import local_file

VERSION_URLS = {
    "train-clean-100": "train-clean-100.tar.gz",
    "train-clean-360": "train-clean-360.tar.gz",
    "train-clean-500": "train-other-500.tar.gz",
    "dev-clean": "dev-clean.tar.gz",
    "dev-other": "dev-other.tar.gz",
    "test-clean": "test-clean.tar.gz",
    "test-other": "test-other.tar.gz",
}


class Librispeech:
    """One part of LibriSpeech, such as "dev-clean", downloaded to `path` where it is missing."""

    url = "http://www.openslr.org/resources/12"

    def __init__(
        self, manifest_file: str | None = None, path: str = ".", version: str = "dev-clean"
    ) -> None:
        if version not in VERSION_URLS:
            known = ", ".join(sorted(VERSION_URLS))
            raise ValueError(f"{version} is no part of LibriSpeech; these are: {known}")
        self.path = path
        self.source_file = VERSION_URLS[version]
        self.version = version
        self.manifest_file = manifest_file

    def load_data(self, data_directory: str | None = None, manifest_file: str | None = None) -> str:
        """The path of the manifest, which is made where it is missing."""
        manifest = manifest_file or self.manifest_file or os.path.join(self.path, "manifest.tsv")
        if os.path.exists(manifest):
            return manifest
        folder = data_directory or os.path.join(self.path, self.version)
        if not os.path.exists(folder):
            import tarfile

            archive = local_file(self.path, self.url, self.source_file)
            print(f"Extracting tar file to {folder}")
            with tarfile.open(archive) as file:
                file.extractall(folder, filter="data")
        ingest_librispeech(folder, manifest)
        return manifest


def get_files(directory: str, pattern: str, recursive: bool = True) -> list[str]:
    """The files of a directory, and of those below it, whose names fit a pattern."""
    found = Path(directory).rglob(pattern) if recursive else Path(directory).glob(pattern)
    return sorted(map(str, found))


def ingest_librispeech(
    input_directory: str, manifest_file: str | None = None, absolute_paths: bool = True
) -> None:
    """Write a line for each recording: the .flac file, a tab, and what is said."""
    if not os.path.isdir(input_directory):
        raise OSError(f"Data directory does not exist! {input_directory}")
    transcripts = get_files(input_directory, "*.txt")
    if not transcripts:
        raise OSError(f"No .txt files were found in {input_directory}")
    target = manifest_file or os.path.join(input_directory, "manifest.tsv")
    with open(target, "w", encoding="utf-8") as manifest:
        manifest.write("@FILE\tSTRING\n")
        for transcript in transcripts:
            folder = os.path.dirname(transcript)
            if not absolute_paths:
                folder = os.path.relpath(folder, input_directory)
            with open(transcript, encoding="utf-8") as file:
                for line in file:
                    name, text = line.rstrip("\n").split(" ", 1)
                    manifest.write(f"{os.path.join(folder, name)}.flac\t{text}\n")
