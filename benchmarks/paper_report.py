"""Tables and plots of the results of `compare_methods.py`, with the published numbers next to ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from common import machine, markdown
from decoder_study import STUDY
from paper_rows import PICASSO, ROWS, SEED, SHIPPED, STEPS, UPSAMPLED_STEPS

from napari_subpixel._util.figures import new_figure, save_figure

#: Tables 2 and 3 as published: Jaccard and F1 at 25 and at 50 nm, ms an image.
PUBLISHED: dict[str, tuple[float | None, ...]] = {
    "deep-storm": (0.153, 0.266, 0.416, 0.588, 17.44),
    "upsampling": (0.171, 0.292, 0.448, 0.618, 17.44),
    "refinement": (0.195, 0.326, 0.448, 0.619, 0.76),
    "points": (0.234, 0.379, 0.517, 0.681, 0.76),
    "points, no sparsity": (0.211, None, 0.456, None, None),
    "points, l1": (0.208, None, 0.454, None, None),
}
#: Table 1: which methods have what, as the paper judges them; "(yes)": to a degree.
PROPERTIES = ("sub-pixel", "several molecules", "crowds", "no post-processing", "no upsampling")
TABLE_1 = {
    "argmax": ("no", "yes", "no", "no", "yes"),
    "quarter": ("(yes)", "yes", "no", "no", "yes"),
    "refinement": ("yes", "yes", "(yes)", "no", "yes"),
    "dark": ("yes", "yes", "(yes)", "no", "yes"),
    "taylor": ("yes", "yes", "(yes)", "no", "yes"),
    "mass": ("yes", "yes", "(yes)", "no", "yes"),
    "h3r": ("yes", "yes", "(yes)", "no", "yes"),
    "dsnt": ("yes", "yes", "(yes)", "no", "yes"),
    "upsampling": ("yes", "yes", "(yes)", "yes", "no"),
    "deep-storm": ("yes", "yes", "(yes)", "yes", "no"),
    "points": ("yes", "yes", "yes", "yes", "yes"),
}
TABLE_2 = (
    "deep-storm",
    "upsampling",
    "refinement",
    "points",
    "argmax",
    "quarter",
    "dark",
    "taylor",
    "mass",
    "h3r",
    "dsnt",
)
TABLE_3 = (
    "points, no sparsity", "points, l1", "points", "points, counting in windows", "points, kernel 0.1 px",
    "points, kernel 0.4 px",
)  # fmt: skip
INTRODUCTION = f"""# Methods side by side

Every method of the papers, trained by one loop on the same samples, scored alike. Made by

    make bench-paper

which resumes where it stopped; one row alone is `python benchmarks/compare_methods.py WORK --row dark`. Training data:
the 20 frames of Deep-STORM's training movie in crops of 26 pixels, turned, mirrored and dimmed at random; {STEPS:,}
steps of Adam with 16 crops ({UPSAMPLED_STEPS:,} of 4 crops for the two upsampling networks, where one takes some
thirty times as long), seed 0, the rate falling to 0 over the second half. Each row's threshold is the one that scores
best on a simulated movie of filaments (seed {SEED}), not on the test movie. *Published* are the paper's own numbers for
Jaccard at 25 and at 50 nm. The shipped model `paper` is the row `points` trained for 24,000 steps, over the last 10,000
of which the weight of counting rises from 0.1 to 4: at 0.1 alone, counting changes little."""
WORDS = """\
*p >=* is the threshold; *J* is the Jaccard index, at two tolerances, of the optimal pairing: the most pairs, then the
least total distance. *greedy* are both by the rule of the challenge's own tool, all pairs within the tolerance,
shortest first; a dash is a row that has not been measured since this column came. In the study of decoders *standard*
is the shift by a quarter of a pixel that the row `quarter` has, and *dark* is *taylor* behind a low-pass filter. That
study is of one point in each heatmap, where the filter helps against noise; in crowds it takes in the neighbours. The
kernel of the rows `points` is 0.2 px, the paper's. Rows with 10,000 steps of training may stay below what is
published for longer ones. Times vary by a half from run to run on this machine: what counts is their ratio, which
*Speed* takes in one run."""
TABLE_1_WORDS = (
    "As the paper judges them; *(yes)*: to a degree. *Several molecules* means more than one in a frame, *crowds* more "
    "than one in a pixel or its neighbour."
)


def write_report(work: Path, folder: Path) -> None:
    """Write ``methods.md`` and its plots from the results in the folder of work."""
    folder.mkdir(parents=True, exist_ok=True)
    results = {
        name: json.loads(file.read_text(encoding="utf-8"))
        for name in (*ROWS, *SHIPPED, PICASSO)
        if (file := work / f"{name}.json").exists()
    }
    parts = [INTRODUCTION, WORDS, "## What each can (Table 1)", TABLE_1_WORDS, _table_1()]
    parts += ["## On the test movie (Table 2)", _measured_on(results), _scores(results, (*TABLE_2, *SHIPPED, PICASSO))]
    if results:
        _plot_scores(results, folder / "methods.png")
        parts.append("![Jaccard indices of the methods](methods.png)")
    parts += ["## Regularisation, kernel and windows (Table 3)", _scores(results, TABLE_3)]
    if (work / "speed.json").exists():
        parts += ["## Speed", _speed(json.loads((work / "speed.json").read_text(encoding="utf-8")))]
    if (work / STUDY).exists():
        found = json.loads((work / STUDY).read_text(encoding="utf-8"))
        _plot_study(found, folder / "decoders.png")
        parts += ["## Encoders and decoders", _study_words(found), *_study_tables(found)]
        parts.append("![Error of each decoder by encoder](decoders.png)")
    (folder / "methods.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _table_1() -> str:
    return markdown(["method", *PROPERTIES], [[name, *TABLE_1[name]] for name in TABLE_1])


def _measured_on(results: dict[str, dict[str, Any]]) -> str:
    machines = sorted({result["machine"] for result in results.values()} or {machine()})
    return (
        'The 361 frames of the "Bundled Tubes High Density" movie, 64 x 64 pixels, 225 molecules a frame; measured on '
        f"{'; '.join(machines)}. Our shipped models meet it at their own thresholds. Peak memory is that of the whole "
        "process, PyTorch and the movie included."
    )


def _scores(results: dict[str, dict[str, Any]], names: tuple[str, ...]) -> str:
    head = [
        "row",
        "what it is",
        "J@25 nm",
        "F1",
        "J@50 nm",
        "F1",
        "greedy",
        "published",
        "ms an image",
        "peak MiB",
        "p >=",
    ]
    lines = []
    for name in names:
        if name not in results:
            continue
        result, published = results[name], PUBLISHED.get(name)
        printed = f"{published[0]:.3f}, {published[2]:.3f}" if published else "-"
        what = ROWS[name].title if name in ROWS else "as shipped" if name in SHIPPED else "version 0.11.3"
        numbers = [f"{score:.3f}" for score in result["scores"]]
        threshold = result["threshold"] or "-"
        greedy = ", ".join(f"{jaccard:.3f}" for jaccard in result.get("greedy", ())) or "-"
        lines.append([name, what, *numbers, greedy, printed, f"{result['ms']:.2f}", result["peak_mib"], threshold])
    return markdown(head, lines)


def _speed(speed: dict[str, float]) -> str:
    return (
        f"Deep-STORM takes {speed['deep-storm']:.1f} ms an image of 64 x 64 pixels, the paper's network "
        f"{speed['points']:.2f} ms, in one run on the CPU: a ratio of {speed['ratio']:.0f} (published, on a GPU: 17.44 "
        "ms and 0.76 ms, a ratio of 23). Reading the points off is included."
    )


def _study_words(found: dict[str, Any]) -> str:
    return (
        f"{found['draws']:,} heatmaps of one point at a random place, seed {found['seed']}, as a perfect network would "
        f"predict them: Gaussians of {found['width_px']:g} px and height 1, of randomised rounding the mean of the "
        "single pixels that it lights; with noise of several standard deviations. Root mean square error along an "
        "axis, in pixels; 0.289 is that of rounding to whole pixels."
    )


def _study_tables(found: dict[str, Any]) -> list[str]:
    tables = []
    for noise, rows in found["errors_px"].items():
        decoders = list(next(iter(rows.values())))
        body = [[encoder, *(f"{errors[name]:.3f}" for name in decoders)] for encoder, errors in rows.items()]
        tables.append(f"Noise {noise}:\n\n" + markdown(["encoder", *decoders], body))
    return tables


def _plot_scores(results: dict[str, dict[str, Any]], path: Path) -> None:
    figure = new_figure(8.0, 0.35 * len(results) + 1.2)
    axes = figure.subplots()
    places = np.arange(len(results))
    for offset, which, label in ((-0.2, 0, "25 nm"), (0.2, 2, "50 nm")):
        axes.barh(places + offset, [r["scores"][which] for r in results.values()], 0.38, label=f"within {label}")
    axes.set_yticks(places, list(results))
    axes.invert_yaxis()
    axes.set_xlabel("Jaccard index on the test movie")
    axes.legend()
    save_figure(figure, path, title="methods side by side", overwrite=True)


def _plot_study(found: dict[str, Any], path: Path) -> None:
    errors = found["errors_px"]
    figure = new_figure(3.6 * len(errors), 4.2)
    for axes, (noise, rows) in zip(
        np.atleast_1d(figure.subplots(1, len(errors), sharey=True)), errors.items(), strict=True
    ):
        decoders = list(next(iter(rows.values())))
        places = np.arange(len(decoders))
        for k, (encoder, found_errors) in enumerate(rows.items()):
            axes.bar(places + 0.27 * (k - 1), [found_errors[name] for name in decoders], 0.25, label=encoder)
        axes.set_xticks(places, decoders, rotation=60, ha="right")
        axes.set_title(f"noise {noise}")
    first = figure.axes[0]
    first.set_ylabel("error along an axis [px]")
    first.legend(title="encoder")
    save_figure(figure, path, title="encoders and decoders", overwrite=True)
