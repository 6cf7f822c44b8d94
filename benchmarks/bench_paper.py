"""Row "OURS" of the paper's Table 2: the shipped model `paper` on the paper's test movie, scored by `evaluate`.

Needs the folder of test movies: ``NAPARI_SUBPIXEL_DATA``. With ``--write-card`` the scores go into the model's card.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

from common import data_folder, machine, markdown

from napari_subpixel import formats
from napari_subpixel.detector import Detector
from napari_subpixel.evaluate import evaluate
from napari_subpixel.models import find, read_card, write_card
from napari_subpixel.stacks import open_stack

#: Table 2 of Schroeter et al., ACCV 2020: Jaccard and F1 at 25 and at 50 nm.
PUBLISHED = {
    "Deep-STORM, as published": (0.153, 0.266, 0.416, 0.588),
    "OURS, as published": (0.234, 0.379, 0.517, 0.681),
}
TOLERANCES_NM = (25.0, 50.0)
REPEATS = 3


def measure() -> tuple[float, float, float, float, float]:
    """Return Jaccard and F1 at 25 nm and at 50 nm, and the best of some times per image in ms."""
    folder = data_folder() / "deepstorm_demo1"
    truth = formats.read(folder / "test_truth.csv", pixel_size_nm=100)
    detector = Detector("paper", device="cpu")
    with open_stack(folder / "test.tif") as stack:
        frames = stack[:]
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        found = detector.detect(frames)
        seconds.append(time.perf_counter() - began)
    scores = evaluate(found.with_about(pixel_size_nm=100.0), truth, TOLERANCES_NM)
    a, b = scores
    return a.jaccard, a.f1, b.jaccard, b.f1, 1000 * min(seconds) / len(frames)


def main() -> None:
    *scores, milliseconds = measure()
    print(f"test movie: deepstorm_demo1/test.tif, 361 frames of 64 x 64, threshold {Detector('paper').threshold:g}")
    print(f"machine: {machine()}\n")
    rows = [[name, *(f"{v:.3f}" for v in values), "-"] for name, values in PUBLISHED.items()]
    rows.append(["model `paper`, measured now", *(f"{v:.3f}" for v in scores), f"{milliseconds:.2f}"])
    print(markdown(["method", "J@25 nm", "F1@25 nm", "J@50 nm", "F1@50 nm", "ms an image"], rows))
    if "--write-card" in sys.argv:
        write_scores(scores)


def write_scores(scores: list[float]) -> None:
    """Put the scores into the card of the model."""
    card = read_card(find("paper"))
    names = ("jaccard_25_nm", "f1_25_nm", "jaccard_50_nm", "f1_50_nm")
    figures = {"movie": "deepstorm_demo1/test.tif (361 frames)", "command": "make bench"}
    figures |= {name: round(value, 3) for name, value in zip(names, scores, strict=True)}
    write_card(find("paper"), replace(card, figures=figures))


if __name__ == "__main__":
    main()
