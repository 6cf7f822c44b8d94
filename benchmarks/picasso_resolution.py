"""NeNA and FRC of a table by Picasso, in an environment that has picassosr.

    python benchmarks/picasso_resolution.py TABLE.hdf5 --splits 3 --window-px 22 25 24 27

It prints one JSON document: Picasso's version, ``nena_nm``, and ``frc_nm``, a value for each random split.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from importlib.metadata import version

#: A home folder for the time of this run, for Picasso's settings.
SETTINGS = tempfile.TemporaryDirectory()
os.environ["HOME"] = SETTINGS.name

from picasso import io, lib, postprocess  # noqa: E402


def main() -> None:
    """Read, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--splits", type=int, default=3, help="random halves, each with a seed of its own")
    parser.add_argument(
        "--window-px", type=float, nargs=4, metavar=("Y0", "Y1", "X0", "X1"), help="window of the FRC (the whole field)"
    )
    arguments = parser.parse_args()
    table, info = io.load_locs(arguments.table)
    pixel_size_nm = lib.get_from_metadata(info, "Pixelsize", raise_error=True)
    began = time.perf_counter()
    _, nena_px = postprocess.nena(table, info)
    nena_s = time.perf_counter() - began
    height, width = (lib.get_from_metadata(info, name, raise_error=True) for name in ("Height", "Width"))
    y0, y1, x0, x1 = arguments.window_px or (0, height, 0, width)
    began = time.perf_counter()
    found = [
        postprocess.frc(table, info, ((y0, x0), (y1, x1)), random_seed=seed)["resolution"]
        for seed in range(arguments.splits)
    ]
    frc_s = time.perf_counter() - began
    about = {"version": version("picassosr"), "nena_s": nena_s, "frc_s": frc_s}
    frc_nm = [None if value is None else float(value) for value in found]
    print(json.dumps({**about, "nena_nm": float(nena_px) * pixel_size_nm, "frc_nm": frc_nm}))


if __name__ == "__main__":
    main()
