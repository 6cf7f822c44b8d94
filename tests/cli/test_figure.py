"""The commands figure and report."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_subpixel import formats
from napari_subpixel.errors import PixelSizeError
from napari_subpixel.runs import crowding
from napari_subpixel.runs.figure import DETECTED, FILES
from napari_subpixel.stacks.writing import write_movie


@pytest.fixture
def without_pixel_size(simulated, tmp_path):
    frames, _ = simulated
    tifffile.imwrite(tmp_path / "bare.tif", frames, metadata=None)
    return tmp_path / "bare.tif"


def test_a_movie_becomes_a_figure_and_its_detection_is_kept(run, movie, tmp_path):
    folder = tmp_path / "figure"
    status, out, err = run("figure", movie, "-o", folder, "--model", "fast", "--json")
    assert status == 0, err
    document = json.loads(out)
    assert {"files", "steps", "skipped", "nena_nm", "frc_nm", "n_localizations"} <= document.keys()
    assert (folder / "detected.parquet").exists()
    page = (folder / FILES["report"]).read_text(encoding="utf-8")
    assert f"napari-subpixel figure {movie} -o {folder} --model fast</pre>" in page
    assert "--json" not in page
    assert "exists already; --overwrite replaces it" in run("figure", movie, "-o", folder, "--model", "fast").err
    assert run("figure", movie, "-o", folder, "--model", "fast", "--resume").status == 0


def test_a_figure_never_replaces_its_movie(refuse, movie, tmp_path):
    inside = tmp_path / "image.tif"
    movie.rename(inside)
    before = inside.read_bytes()
    assert "image.tif" in refuse("figure", inside, "-o", tmp_path, "--overwrite")
    assert inside.read_bytes() == before


def test_a_figure_without_pixel_size_is_refused_before_its_movie_is_detected(refuse, without_pixel_size, tmp_path):
    folder = tmp_path / "new" / "figure"
    line = refuse("figure", without_pixel_size, "-o", folder, "--model", "fast")
    assert "bare.tif: the movie does not say its pixel size" in line
    assert "--pixel-size-nm" in line
    assert not folder.parent.exists()


def test_beads_cannot_be_followed_and_left_out(refuse, movie, tmp_path):
    assert "give one of them" in refuse("figure", movie, "-o", tmp_path / "f", "--fiducials", "--drop-static")


@pytest.mark.parametrize(
    ("sidecar", "known"), [("camera: {baseline: 100}", False), ("camera: {pixel_size_nm: 100}", True)]
)
def test_the_pixel_size_of_a_figure_may_be_that_of_the_sidecar(without_pixel_size, sidecar, known):
    from napari_subpixel.cli.detect import opened_in_nm
    from napari_subpixel.detection.options import DetectionOptions

    without_pixel_size.with_name("bare.subpixel.yaml").write_text(sidecar, encoding="utf-8")
    if known:
        assert opened_in_nm(without_pixel_size, DetectionOptions(), "a figure") is None
        return
    with pytest.raises(PixelSizeError, match=r"bare\.tif.*a figure needs"):
        opened_in_nm(without_pixel_size, DetectionOptions(), "a figure")


def test_a_figure_of_a_missing_movie_leaves_no_folder(refuse, tmp_path):
    assert "missing.tif: no such file" in refuse("figure", tmp_path / "missing.tif", "-o", tmp_path / "new" / "figure")
    assert not (tmp_path / "new").exists()


def test_resuming_replaces_no_file_where_there_is_no_detection_to_resume(refuse, movie, tmp_path):
    own = tmp_path / FILES["localizations"]
    own.write_text("mine", encoding="utf-8")
    line = refuse("figure", movie, "-o", tmp_path, "--model", "fast", "--resume")
    assert "localizations.csv: exists already" in line
    assert own.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / DETECTED).exists()


def test_a_figure_says_what_it_estimated_and_each_warning_once(run, movie, tmp_path, monkeypatch):
    monkeypatch.setattr(crowding, "TOO_CROWDED", 1e-4)
    status, _, err = run("figure", movie, "-o", tmp_path / "figure", "--model", "fast", "--roi", "4:36,0:52")
    assert status == 0, err
    lines = err.splitlines()
    assert err.count("too many points") == 1
    warnings = [line for line in lines if "warning" in line]
    assert len(warnings) == len(set(warnings))
    page = (tmp_path / "figure" / FILES["report"]).read_text(encoding="utf-8")
    assert page.count("too many points") == 1
    flags = next(n for n, line in enumerate(lines) if "as flags: " in line)
    assert flags < next(n for n, line in enumerate(lines) if "localizations in 12 frames" in line)
    again = run("figure", movie, "-o", tmp_path / "figure", "--model", "fast", "--roi", "4:36,0:52", "--resume")
    assert again.err.count("too many points") == 1
    # The region that was detected is drawn.
    assert "image: 320 x 520 pixels of 10 nm" in err


def test_a_figure_of_a_movie_without_molecules_says_so(run, tmp_path):
    frames = np.random.default_rng(5).poisson(20, (12, 40, 52)).astype(np.uint16) + 100
    write_movie(tmp_path / "dark.tif", [frames], shape=frames.shape, pixel_size_nm=100)
    folder = tmp_path / "figure"
    folder.mkdir()
    for name in ("drift", "molecules"):
        (folder / FILES[name]).write_text("of an earlier figure", encoding="utf-8")
    status, out, err = run("figure", tmp_path / "dark.tif", "-o", folder, "--model", "fast", "--overwrite", "--json")
    assert status == 0, err
    assert err.count("no molecule was found") == 1
    document = json.loads(out)
    assert "no molecule was found" in document["warnings"]
    assert {"drift", "resolution", "linking"} <= document["skipped"].keys()
    assert len(formats.read(folder / FILES["localizations"])) == 0
    assert {str(path) for path in folder.iterdir() if path.name in FILES.values()} == set(document["files"])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_becomes_a_report(run, simulated, tmp_path, suffix):
    formats.write(tmp_path / f"t.{suffix}", simulated[1])
    status, out, err = run("report", tmp_path / f"t.{suffix}", "-o", tmp_path / "r.html", "--json")
    assert status == 0, err
    assert json.loads(out)["n_localizations"] == len(simulated[1])
    assert "<svg" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_table_of_another_program_without_uncertainties_becomes_a_report(run, simulated, tmp_path):
    table = simulated[1]
    lines = (f"{frame + 1},{x:.2f},{y:.2f}" for frame, y, x in zip(table.frame, *(100 * table.yx.T + 50), strict=True))
    (tmp_path / "t.csv").write_text("\n".join(["frame,x [nm],y [nm]", *lines]) + "\n", encoding="utf-8")
    status, _, err = run("report", tmp_path / "t.csv", "-o", tmp_path / "r.html", "--pixel-size-nm", 100)
    assert status == 0, err
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "no uncertainties" in page
    assert "<th>pixel_size_nm</th><td>100</td>" in page
    assert 'aria-label="super-resolution image"' in page


def test_a_report_has_the_suffix_of_a_page(refuse, truth, tmp_path):
    assert "must end in .html" in refuse("report", truth, "-o", tmp_path / "r.txt")
