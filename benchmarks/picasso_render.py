"""Render a table with Picasso as often as asked: run this with the Python of an environment that has picassosr.

    python benchmarks/picasso_render.py TABLE.hdf5 PIXEL_SIZE_NM

It prints Picasso's version when the table is loaded. Then it reads lines, each of which is histogram or gaussian, and
prints the seconds of that rendering and the number of points drawn.
"""

from __future__ import annotations

import sys
import time
from importlib.metadata import version

from picasso import io, render

BLUR = {"histogram": None, "gaussian": "gaussian"}


def main() -> None:
    """Load, then render for every line."""
    table, info = io.load_locs(sys.argv[1])
    print(f"Picasso {version('picassosr')}", flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        n, _ = render.render(table, info, disp_px_size=float(sys.argv[2]), blur_method=BLUR[line.strip()])
        print(time.perf_counter() - began, n, flush=True)


if __name__ == "__main__":
    main()
