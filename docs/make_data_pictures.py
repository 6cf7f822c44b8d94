"""Make the pictures of the documents on drift, linking, filters, resolution and figures, from real data.

    python docs/make_data_pictures.py DATA [--browser chromium]

DATA is a folder with ``after/picasso_raw_movie_locs.hdf5``, the DNA-PAINT sample of Picasso, and
``real/tubulins_alexa647_400frames.tif``, a STORM movie of microtubules. The report of a figure is photographed where
a browser is given that can do so without a screen (Chromium); without one that picture stays as it is.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from napari_subpixel import formats
from napari_subpixel._util.figures import BLUE, new_figure, save_figure
from napari_subpixel.analysis.blinking import blinking_times, plot_times
from napari_subpixel.analysis.drift import estimate_drift
from napari_subpixel.analysis.drift_plot import plot_drift
from napari_subpixel.analysis.filters import keep
from napari_subpixel.analysis.linking import link
from napari_subpixel.analysis.resolution import resolution
from napari_subpixel.analysis.resolution_plots import plot_resolution
from napari_subpixel.camera import Camera
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.render import render
from napari_subpixel.runs.figure import FILES, figure
from napari_subpixel.runs.pipeline import detect_all
from napari_subpixel.stacks import open_stack

PICTURES = Path(__file__).parent / "images"
#: Molecules of the DNA-PAINT sample, and the movie of microtubules.
PAINT = "after/picasso_raw_movie_locs.hdf5"
MICROTUBULES = "real/tubulins_alexa647_400frames.tif"
#: The camera of that movie, as its data sheet says: 0.6 ADU a photon.
CAMERA = Camera(pixel_size_nm=65.0, baseline=99.0, electrons_per_adu=1 / 0.6)
#: What detects them.
MODEL = "fast"
#: The filter that is shown.
EXPRESSION = "uncertainty < 25 & probability > 0.6"
#: Colours of the renderings end at this quantile of their pixels.
BRIGHTEST = 0.995
#: Width and height of the window that shows the report, in pixels.
WINDOW_PX = (1000, 1590)
#: Colours of a picture.
N_COLOURS = 176
#: Width of the picture of the report, in pixels.
REPORT_WIDTH_PX = 640


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--browser", metavar="PROGRAM", help="takes the picture of the report")
    arguments = parser.parse_args()
    paint = formats.read(arguments.data / PAINT)
    plot_resolution(resolution(paint), PICTURES / "resolution-paint.png", overwrite=True)
    plot_times(PICTURES / "times-paint.png", blinking_times(link(paint)), overwrite=True)
    with open_stack(arguments.data / MICROTUBULES) as stack:
        found = detect_all(job_for(stack, Detector(MODEL), DetectionOptions(CAMERA)))
    _filter_picture(found)
    plot_drift(PICTURES / "drift-microtubules.png", estimate_drift(found), overwrite=True)
    if arguments.browser:
        with tempfile.TemporaryDirectory() as folder:
            figure(found, Path(folder), name=Path(MICROTUBULES).name, command="napari-subpixel figure ...")
            _photograph(arguments.browser, Path(folder) / FILES["report"], PICTURES / "report.png")
    for name in ("resolution-paint", "times-paint", "filter-microtubules", "drift-microtubules", "report"):
        _make_small(PICTURES / f"{name}.png")


def _filter_picture(found: Localizations) -> None:
    """Draw all rows, those that a filter keeps, and their uncertainties."""
    kept = keep(found, EXPRESSION)
    drawn = new_figure(9.6, 3.4)
    *images, histogram = drawn.subplots(1, 3)
    tables = {f"{len(found):,} rows": found, f"{len(kept):,} rows: {EXPRESSION}": kept}
    for axes, (title, table) in zip(images, tables.items(), strict=True):
        image = render(table).image
        axes.imshow(image, cmap="hot", vmin=0, vmax=np.quantile(image, BRIGHTEST))
        axes.set_title(title, fontsize=8)
        axes.set_axis_off()
    values = found["x_uncertainty"] * found.known_pixel_size_nm(), kept["x_uncertainty"] * kept.known_pixel_size_nm()
    edges = np.linspace(0, float(np.quantile(values[0], BRIGHTEST)), 60)
    for name, of_rows, colour in (("all", values[0], "0.8"), ("kept", values[1], BLUE)):
        histogram.hist(of_rows, edges, color=colour, label=name)
    histogram.set(xlabel="uncertainty of x [nm]", ylabel="rows")
    histogram.legend(frameon=False)
    save_figure(drawn, PICTURES / "filter-microtubules.png", title="Filter", overwrite=True)


def _photograph(browser: str, page: Path, picture: Path) -> None:
    """Take the picture of a page."""
    size = ",".join(map(str, WINDOW_PX))
    flags = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={size}"]
    subprocess.run([browser, *flags, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True)


def _make_small(path: Path) -> None:
    """Reduce the colours of a picture, and the width of that of the report."""
    with Image.open(path) as picture:
        small = picture.convert("RGB")
    if path.stem == "report":
        small = small.resize(
            (REPORT_WIDTH_PX, round(small.height * REPORT_WIDTH_PX / small.width)), Image.Resampling.LANCZOS
        )
    small.quantize(N_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
