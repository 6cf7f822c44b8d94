"""Put the methods of the papers that make sense for a user into the package, as compare_methods.py trained them.

    python benchmarks/ship_methods.py WORK

Weights and thresholds come from WORK; `bench_paper.py --model NAME --write-card` then measures the figures of the card.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from paper_rows import CROPS, ROWS

from napari_subpixel.models import SHIPPED, load_model, read_card, save_model
from napari_subpixel.training.methods import METHODS

#: What they share: all learn from the frames that `paper` learns from.
LIMITS = (
    "knows one PSF (sigma 1.1 px), one brightness (2,000 to 2,500 photons) and crowded frames (6 molecules per square "
    "micrometre); on sparse movies it reports noise; its probability is the height of a maximum"
)
#: Row of the comparison, name in the package, summary, further limits, 16 bits of each weight.
MODELS = (
    (
        "taylor",
        "heatmap-dark",
        "a heatmap with DARK's unbiased encoding and Taylor expansion (Zhang et al. 2020), without its low-pass "
        "filter, which joins neighbours in crowds",
        "",
        False,
    ),
    (
        "deep-storm",
        "deep-storm",
        "Deep-STORM (Nehme et al. 2018), its architecture and loss, retrained: the frame upsampled 8-fold, an image "
        "of spikes",
        "; more than a hundred times as slow as paper",
        True,
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    work: Path = parser.parse_args().work
    microscope = read_card(SHIPPED / "paper.yaml")
    for row, name, summary, further, half in MODELS:
        trained = load_model(work / f"{row}.safetensors")
        threshold = json.loads((work / f"{row}.json").read_text())["threshold"]
        training = {
            "command": "python benchmarks/compare_methods.py WORK",
            "data": "train.tif with train_truth.csv",
            "method": row,
            "crops_per_frame": CROPS,
            "settings": {"iterations": ROWS[row].steps, "objective": METHODS[row].objective, **METHODS[row].settings},
            "threshold": "that with the best Jaccard index at 50 nm on a simulated movie of filaments",
        }
        save_model(
            SHIPPED / f"{name}.safetensors",
            trained.network,
            overwrite=True,
            half_precision=half,
            name=name,
            summary=summary,
            input_scaling="minmax",
            threshold=threshold,
            camera=microscope.camera,
            psf=microscope.psf,
            training=training,
            limits=LIMITS + further,
        )
        print(f"{name}: threshold {threshold:g}")


if __name__ == "__main__":
    main()
