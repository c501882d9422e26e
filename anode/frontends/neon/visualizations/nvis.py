"""`nvis`: pictures of a training from the file that `--output_file` wrote."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from anode.errors import AnodeError
from anode.frontends.neon.visualizations import data, figure

TITLES = {"cost": "Cost", "multicost": "Costs of branches", "metrics": "Metrics"}


def pages(in_file: str, out_dir: str, epoch_axis: bool = True) -> list[str]:
    """Write cost-hist.html and, where the file has them, deconv.html; their paths."""
    lines = data.h5_line_data(in_file, epoch_axis)
    charts = [
        figure.cost_fig(found, 400, 640, epoch_axis, TITLES[group])
        for group, found in lines.items()
    ]
    for histogram in data.h5_hist_data(in_file, epoch_axis):
        charts.append(figure.hist_fig(histogram, 240, 640, epoch_axis=epoch_axis))
    os.makedirs(out_dir, exist_ok=True)
    written = [os.path.join(out_dir, "cost-hist.html")]
    figure.write_page(written[0], os.path.basename(in_file), charts)
    if (deconv := data.h5_deconv_data(in_file)) is not None:
        written.append(os.path.join(out_dir, "deconv.html"))
        figure.deconv_summary_page(written[1], lines.get("cost", []), deconv)
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: its exit code."""
    parser = argparse.ArgumentParser(
        prog="nvis", description="Draw what a training wrote with --output_file, as HTML."
    )
    parser.add_argument(
        "--axis", choices=["epoch", "minibatch"], default="epoch", help="what the time axis counts"
    )
    parser.add_argument("--in_file", "-i", required=True, help="the HDF5 file of a training")
    parser.add_argument("--out_dir", "-o", default="nvis", help="folder of the pages (./nvis)")
    given = parser.parse_args(arguments)
    try:
        written = pages(given.in_file, given.out_dir, given.axis == "epoch")
    except (AnodeError, ImportError, OSError) as error:
        print(f"nvis: {error}", file=sys.stderr)
        return 1
    print("\n".join(written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
