r"""Make the picture of a real movie detected by the model `default`, next to Picasso's result.

    python benchmarks/picasso_localize.py tubulins_alexa647_400frames.tif picasso.hdf5 --box 9 --min-net-gradient 600 \
        --pixel-size-nm 65 --baseline 99 --sensitivity 1.667
    python docs/make_comparison_picture.py tubulins_alexa647_400frames.tif picasso.hdf5

The first command needs an environment that has Picasso. From left to right: the mean of the movie's frames, the
localizations of `default`, those of Picasso; each molecule is drawn as wide as its own uncertainty.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.image_files import save_preview
from napari_subpixel.rendering.render import render
from napari_subpixel.runs.pipeline import detect_all
from napari_subpixel.stacks import open_stack

PICTURE = Path(__file__).parent / "images" / "tubulin.png"
#: The camera of the movie, as its data sheet says: 0.6 ADU a photon.
CAMERA = Camera(pixel_size_nm=65.0, baseline=99.0, electrons_per_adu=1 / 0.6)
PIXEL_NM, GAP_PX = 10.0, 8


def main() -> None:
    """Detect, render both, and put the three pictures side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("movie", type=Path)
    parser.add_argument("picasso", type=Path, help="Picasso's table")
    arguments = parser.parse_args()
    with open_stack(arguments.movie) as stack:
        job = job_for(stack, Detector(), DetectionOptions(CAMERA))
        ours, mean = detect_all(job), stack[:].mean(axis=0)
    theirs = formats.read(arguments.picasso).with_about(frame_shape=job.stack.frame_shape)
    for name, table in (("default", ours), ("Picasso", theirs)):
        uncertainty = CAMERA.pixel_size_nm * np.median(np.concatenate([table["y_uncertainty"], table["x_uncertainty"]]))
        print(f"{name}: {len(table) / stack.n_frames:.1f} molecules a frame, placed to {uncertainty:.0f} nm (median)")
    pictures = [_gray(mean, (CAMERA.pixel_size_nm or 1) / PIXEL_NM), *(_rendered(table) for table in (ours, theirs))]
    gap = np.full((len(pictures[1]), GAP_PX, 3), 255, np.uint8)
    row = np.concatenate([pictures[0], gap, pictures[1], gap, pictures[2]], axis=1)
    PICTURE.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(row), level=9))


def _rendered(table: Localizations) -> NDArray[np.uint8]:
    """Return what a preview shows of a table, shape (Y, X, 3)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "preview.png"
        save_preview(path, render(table, pixel_size_nm=PIXEL_NM), scale_bar_nm=1000.0)
        return np.asarray(imagecodecs.png_decode(path.read_bytes()))[..., :3]


def _gray(frame: NDArray[np.float64], zoom: float) -> NDArray[np.uint8]:
    """Return a frame as large as a rendering, shape (Y, X, 3)."""
    low, high = np.quantile(frame, (0.001, 0.999))
    gray = (255 * ((frame - low) / (high - low)).clip(0, 1)).astype(np.uint8)
    rows, columns = (np.minimum((np.arange(round(n * zoom)) / zoom).astype(int), n - 1) for n in frame.shape)
    return np.repeat(gray[np.ix_(rows, columns)][..., None], 3, axis=2)


if __name__ == "__main__":
    main()
