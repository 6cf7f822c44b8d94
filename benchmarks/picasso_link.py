"""Link a table with Picasso, in an environment that has picassosr, for ``bench_linking.py``.

    python benchmarks/picasso_link.py TABLE.hdf5 GROUPS.npy --radius-px 0.5 --dark 1

It writes the group of each row, in the order of the table, which must be that of the frames, and prints Picasso's
version and the seconds that linking and merging took, the best of several runs, since the first one compiles.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from importlib.metadata import version

#: A home folder for the time of this run, for Picasso's settings.
SETTINGS = tempfile.TemporaryDirectory()
os.environ["HOME"] = SETTINGS.name

import numpy as np  # noqa: E402
from picasso import io, postprocess  # noqa: E402


def main() -> None:
    """Link, save the groups."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("groups")
    parser.add_argument("--radius-px", type=float, required=True)
    parser.add_argument("--dark", type=int, required=True)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    table, info = io.load_locs(arguments.table)
    seconds = float("inf")
    for _ in range(arguments.repeats):
        began = time.perf_counter()
        postprocess.link(
            table, info, r_max=arguments.radius_px, max_dark_time=arguments.dark, remove_ambiguous_lengths=False
        )
        seconds = min(seconds, time.perf_counter() - began)
    frame, x, y = (table[name].to_numpy() for name in ("frame", "x", "y"))
    assert (np.diff(frame) >= 0).all()
    one = np.zeros(len(table), np.int32)
    groups = postprocess._get_link_groups(frame, x, y, arguments.radius_px, arguments.dark, one)
    np.save(arguments.groups, np.asarray(groups))
    print(f"Picasso {version('picassosr')}: {seconds:.3f} s")


if __name__ == "__main__":
    main()
