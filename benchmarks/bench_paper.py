"""Row "OURS" of the paper's Table 2: the shipped model `paper` on the paper's test movie, scored by `evaluate`.

``--model heatmap-dark`` or ``deep-storm`` scores what else is shipped of the papers' methods. Needs the folder of test
movies: ``NAPARI_SUBPIXEL_DATA``. With ``--write-card`` the scores go into the model's card, the Jaccard indices by both
pairings: the most pairs, and shortest first, as the tool of the challenge pairs, which the movie is from.
"""

from __future__ import annotations

import argparse
import time

from common import data_folder, machine, markdown, write_figures

from napari_subpixel import formats
from napari_subpixel.detection.detector import Detector
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.evaluation.matching import Pairing
from napari_subpixel.stacks import open_stack

#: Table 2 of Schroeter et al., ACCV 2020: Jaccard and F1 at 25 and at 50 nm.
PUBLISHED = {
    "Deep-STORM, as published": (0.153, 0.266, 0.416, 0.588),
    "OURS, as published": (0.234, 0.379, 0.517, 0.681),
}
TOLERANCES_NM = (25.0, 50.0)
NAMES = ("jaccard_25_nm", "f1_25_nm", "jaccard_50_nm", "f1_50_nm")
#: What the name of a figure ends in, by pairing.
SUFFIXES: dict[Pairing, str] = {"optimal": "", "greedy": "_greedy"}
#: Runs of which the quickest counts; none starts after this many seconds.
REPEATS, ENOUGH_S = 3, 60.0


def measure(model: str) -> tuple[dict[str, float], float]:
    """Return Jaccard and F1 at 25 nm and at 50 nm by both pairings, and the best of some times per image in ms."""
    folder = data_folder() / "deepstorm_demo1"
    truth = formats.read(folder / "test_truth.csv", pixel_size_nm=100)
    detector = Detector(model, device="cpu")
    with open_stack(folder / "test.tif") as stack:
        frames = stack[:]
    seconds: list[float] = []
    while len(seconds) < REPEATS and sum(seconds) < ENOUGH_S:
        began = time.perf_counter()
        found = detector.detect(frames)
        seconds.append(time.perf_counter() - began)
    scores = {}
    for pairing, suffix in SUFFIXES.items():
        for score in evaluate(found.with_about(pixel_size_nm=100.0), truth, TOLERANCES_NM, pairing=pairing):
            at = f"{score.tolerance_nm:g}_nm{suffix}"
            scores |= {f"jaccard_{at}": score.jaccard, f"f1_{at}": score.f1}
    return scores, 1000 * min(seconds) / len(frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="paper")
    parser.add_argument("--write-card", action="store_true")
    arguments = parser.parse_args()
    scores, milliseconds = measure(arguments.model)
    threshold = Detector(arguments.model).threshold
    print(f"test movie: deepstorm_demo1/test.tif, 361 frames of 64 x 64, threshold {threshold:g}")
    print(f"machine: {machine()}\n")
    rows = [[name, *(f"{v:.3f}" for v in values), "-"] for name, values in PUBLISHED.items()]
    for pairing, suffix in SUFFIXES.items():
        cells = [f"{scores[name + suffix]:.3f}" for name in NAMES]
        rows.append([f"model `{arguments.model}`, measured now, {pairing} pairing", *cells, f"{milliseconds:.2f}"])
    print(markdown(["method", "J@25 nm", "F1@25 nm", "J@50 nm", "F1@50 nm", "ms an image"], rows))
    if arguments.write_card:
        command = "python benchmarks/bench_paper.py" + (
            f" --model {arguments.model}" if arguments.model != "paper" else ""
        )
        figures = {"movie": "deepstorm_demo1/test.tif (361 frames)", "command": command}
        figures |= {name: round(value, 3) for name, value in scores.items()}
        write_figures(arguments.model, figures)


if __name__ == "__main__":
    main()
