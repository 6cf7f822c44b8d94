"""Table 1, 2 and 3 of the paper and a study of decoders, on one machine, with the published numbers next to ours.

    python benchmarks/compare_methods.py WORK [--row NAME ...] [--report FOLDER] [--picasso PYTHON] [--quick]

WORK keeps checkpoints and results, so that a stopped run resumes, and a finished row is not done again;
remove NAME.json from it to measure a row again, NAME.safetensors and NAME.training to train it again. With --report the
tables and plots of all results in WORK are written into FOLDER. The movies are in the folder that
``NAPARI_SUBPIXEL_DATA`` names. PYTHON is that of an environment with Picasso (picassosr). --quick trains next to
nothing, to see that all runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from decoder_study import STUDY, study
from paper_report import write_report
from paper_rows import PICASSO, ROWS, SHIPPED, keep, measure, measure_picasso, speed_ratio, train_row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--row", action="append", choices=[*ROWS, *SHIPPED], metavar="NAME", help="only these rows")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report", type=Path, metavar="FOLDER")
    parser.add_argument("--picasso", metavar="PYTHON")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    if arguments.measure:
        keep(work / f"{arguments.measure}.json", measure(arguments.measure, work, quick=arguments.quick))
        return
    for name in arguments.row or [*ROWS, *SHIPPED]:
        if not (work / f"{name}.json").exists():
            if name in ROWS:
                train_row(name, work, quick=arguments.quick)
            # A process of its own, whose peak memory is the row's alone.
            quick = ["--quick"] if arguments.quick else []
            subprocess.run([sys.executable, __file__, str(work), "--measure", name, *quick], check=True)
        print(name, json.loads((work / f"{name}.json").read_text())["scores"], flush=True)
    if arguments.picasso and not (work / f"{PICASSO}.json").exists():
        keep(work / f"{PICASSO}.json", measure_picasso(arguments.picasso))
    if not (work / STUDY).exists():
        keep(work / STUDY, study(draws=50 if arguments.quick else 4000))
    if (work / "deep-storm.safetensors").exists():
        keep(
            work / "speed.json", speed_ratio(work, repeats=1 if arguments.quick else 3, n=2 if arguments.quick else 20)
        )
    if arguments.report:
        write_report(work, arguments.report)


if __name__ == "__main__":
    main()
