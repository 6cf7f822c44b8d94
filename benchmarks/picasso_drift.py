"""Estimate drift with Picasso's AIM: run this with the Python of an environment that has picassosr.

    python benchmarks/picasso_drift.py TABLE.hdf5 TRACE.csv --segment 100

TABLE is one that ``napari-subpixel convert`` wrote. The trace has a row for each frame: ``frame,x_nm,y_nm``. It prints
Picasso's version and the seconds without reading and writing, of the quicker of two runs: the first compiles.
"""

from __future__ import annotations

import argparse
import time
from importlib.metadata import version

from picasso import aim, io

#: AIM's distances as it was published, which Picasso keeps in pixels of 130 nm.
INTERSECT_NM, SEARCH_NM = 20.0, 60.0


def main() -> None:
    """Load, estimate, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("trace")
    parser.add_argument("--segment", type=int, required=True, help="frames")
    arguments = parser.parse_args()
    table, info = io.load_locs(arguments.table)
    pixel_nm = next(part["Pixelsize"] for part in info if "Pixelsize" in part)
    seconds = float("inf")
    for _ in range(2):
        began = time.perf_counter()
        _, _, drift = aim.aim(
            table.copy(),
            info,
            segmentation=arguments.segment,
            intersect_d=INTERSECT_NM / pixel_nm,
            roi_r=SEARCH_NM / pixel_nm,
        )
        seconds = min(seconds, time.perf_counter() - began)
    trace = drift[["x", "y"]].rename(columns={"x": "x_nm", "y": "y_nm"}) * pixel_nm
    trace.to_csv(arguments.trace, index_label="frame")
    print(f"Picasso {version('picassosr')}: {seconds:.2f} s")


if __name__ == "__main__":
    main()
