"""Plots are real files, and show what was measured; without Matplotlib the message says what to install."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from napari_subpixel._util.figures import DOTS_PER_INCH, check_plot_output, save_figure
from napari_subpixel.calibration import SpotPsf, measure_psf
from napari_subpixel.calibration.plots import figure_of_psf, plot_psf
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.psf import draw_gaussians
from napari_subpixel.stacks import open_stack

pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
CAMERA = Camera(100.0, 100.0, 0.5)


@pytest.fixture(scope="module")
def measured() -> SpotPsf:
    rng = np.random.default_rng(4)
    y, x = (a.ravel() + rng.uniform(-2, 2, a.size) for a in np.meshgrid(np.arange(12, 90, 20), np.arange(12, 110, 20)))
    frame = np.repeat(np.arange(3), len(y))
    light = draw_gaussians((3, 100, 120), frame, np.tile(y, 3), np.tile(x, 3), np.full(len(frame), 4000.0), 1.3)
    with open_stack(CAMERA.expose(light + 20, rng)) as stack:
        return measure_psf(stack, CAMERA)


def test_the_figure_shows_spot_profile_and_widths(measured):
    figure = figure_of_psf(measured, pixel_size_nm=100.0)
    axes = {a.get_title(): a for a in figure.axes if a.get_title()}
    assert set(axes) == {f"mean of {measured.n_spots} spots", "radial profile", "width of each bead or molecule"}
    assert all("[px]" in a.get_xlabel() for a in axes.values() if a.get_title() != "radial profile")
    texts = [t.get_text() for t in axes["radial profile"].get_legend().get_texts()]
    assert sorted(texts) == ["Gaussian, in the same pixels", "measured"]
    gaussian = next(line for line in axes["radial profile"].lines if line.get_label().startswith("Gaussian"))
    np.testing.assert_array_equal(gaussian.get_ydata(), measured.radial.gaussian)
    title = figure.get_suptitle()
    assert measured.width_text(100.0) in title
    assert measured.verdict in title
    assert {a.get_ylabel() for a in figure.axes} >= {"difference\n[% of the peak]", "y from the middle [px]", "number"}


def test_nothing_of_the_figure_is_cut_off(measured):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = figure_of_psf(measured)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    whole, drawn = figure.bbox, figure.get_tightbbox(canvas.get_renderer()).transformed(figure.dpi_scale_trans)
    assert whole.x0 <= drawn.x0 < drawn.x1 <= whole.x1
    assert whole.y0 <= drawn.y0 < drawn.y1 <= whole.y1


def test_a_png_is_written_that_opens(measured, tmp_path):
    import imagecodecs

    plot_psf(measured, tmp_path / "psf.png", pixel_size_nm=100.0)
    picture = imagecodecs.png_decode((tmp_path / "psf.png").read_bytes())
    assert picture.shape[:2] == (round(4.8 * DOTS_PER_INCH), round(13 * DOTS_PER_INCH))
    assert picture[..., :3].std() > 20
    assert [p.name for p in tmp_path.iterdir()] == ["psf.png"]


@pytest.mark.parametrize(("suffix", "start"), [(".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_other_kinds_of_file_are_written_too(measured, tmp_path, suffix, start):
    plot_psf(measured, tmp_path / f"psf{suffix}")
    assert (tmp_path / f"psf{suffix}").read_bytes().startswith(start)


def test_a_plot_that_exists_needs_overwrite(measured, tmp_path):
    path = tmp_path / "psf.png"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        plot_psf(measured, path)
    assert path.read_text() == "mine"
    plot_psf(measured, path, overwrite=True)
    assert path.stat().st_size > 10_000


@pytest.mark.parametrize(("name", "what"), [("psf.jpg", "must end in .png"), ("gone/psf.png", "does not exist")])
def test_a_plot_that_cannot_be_written_is_refused(measured, tmp_path, name, what):
    with pytest.raises(InputError, match=what):
        check_plot_output(tmp_path / name, overwrite=False)
    with pytest.raises(InputError, match=what):
        save_figure(figure_of_psf(measured), tmp_path / name, title="psf")


def test_without_matplotlib_the_message_names_the_extra():
    code = """
import sys
sys.modules["matplotlib"] = None
from napari_subpixel._util.figures import check_plot_output
try:
    check_plot_output("psf.png", overwrite=True)
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "napari-subpixel[plots]"' in done.stdout


def test_a_plot_never_loads_the_part_of_matplotlib_that_opens_windows(tmp_path):
    code = """
import sys
from napari_subpixel._util.figures import check_plot_output
check_plot_output(sys.argv[1], overwrite=False)
print("matplotlib.figure" in sys.modules, "matplotlib.pyplot" in sys.modules)
"""
    argv = [sys.executable, "-c", code, str(tmp_path / "psf.png")]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split() == ["True", "False"]
