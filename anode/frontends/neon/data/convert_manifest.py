"""Manifests of the first aeon, separated by commas, in the form of the later one."""

from __future__ import annotations

import argparse
import os


def convert_manifest(source_manifest: str, output_manifest: str | None = None) -> None:
    """Write a manifest with a header and tabs to `output_manifest`, by default in its place."""
    with open(source_manifest, encoding="utf-8") as file:
        lines = file.readlines()
    columns = len(lines[0].split(",")) if lines else 1
    header = "@" + "\t".join(["FILE"] * columns) + "\n"
    target = output_manifest or source_manifest
    with open(f"{target}.part", "w", encoding="utf-8") as file:
        file.writelines([header, *(line.replace(",", "\t") for line in lines)])
    os.replace(f"{target}.part", target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest_file", required=True, help="Manifest to convert")
    parser.add_argument("--destination", help="Converted Manifest destination")
    given = parser.parse_args()
    convert_manifest(given.manifest_file, given.destination)
