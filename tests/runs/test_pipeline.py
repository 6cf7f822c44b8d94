"""From a movie to a table on disk: chunks, resuming, and what may go wrong on the way."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.detection import chunks
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import DetectionJob, job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.errors import (
    ChangedRunError,
    ImplausibleError,
    InputError,
    OutputExistsError,
    PixelSizeError,
    UnfinishedRunError,
)
from napari_subpixel.localizations import Localizations
from napari_subpixel.models import Model, ModelCard
from napari_subpixel.models.domain import Domain
from napari_subpixel.models.unet import UNet
from napari_subpixel.psf import GaussianPSF, add_gaussians
from napari_subpixel.runs.crowding import crowding_warning
from napari_subpixel.runs.pipeline import detect, detect_all, detect_to_file
from napari_subpixel.runs.quality_warnings import TableSummary, out_of_domain, provenance_with_warnings
from napari_subpixel.stacks import Stack, open_stack
from napari_subpixel.stacks.arrays import ArraySource

NOTHING = TableSummary(0, {})


@pytest.fixture(scope="module")
def movie(thirty_frames) -> np.ndarray:
    return thirty_frames


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of 4 frames, so that a short movie has several."""
    monkeypatch.setattr(chunks, "CHUNK_PIXELS", 4 * 40 * 52)


@pytest.fixture
def job(movie, detector, tmp_path) -> DetectionJob:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, movie, photometric="minisblack")
    with open_stack(path) as stack:
        yield DetectionJob(stack, detector, Camera(pixel_size_nm=100))


def sources(job) -> list[str]:
    """What was taken from the movie, in order."""
    return [line.split(" from the movie")[0] for line in job.assumed if " from the movie:" in line]


def run(job, output, **options) -> list[int]:
    return [chunk.stop for chunk in detect_to_file(job, output, **options)]


def test_chunks_together_equal_the_detection_of_the_whole_array(job, movie, detector):
    chunks = list(detect(job))
    assert [(c.start, c.stop) for c in chunks] == [(s, min(s + 4, 30)) for s in range(0, 30, 4)]
    table, whole = detect_all(job), detector.detect(movie)
    assert len(table) == len(whole) > 300
    np.testing.assert_allclose(table.table, whole.table, atol=1e-3)


def test_the_table_knows_movie_pixel_size_and_provenance(job, tmp_path):
    assert run(job, tmp_path / "out.parquet") == [4, 8, 12, 16, 20, 24, 28, 30]
    table = formats.read(tmp_path / "out.parquet")
    assert (table.pixel_size_nm, table.frame_shape, table.n_frames) == (100, (40, 52), 30)
    about = table.provenance
    assert about["movie"] == "movie.tif"
    assert about["model"]["name"] == "paper"
    assert about["camera"] == {"pixel_size_nm": 100.0}
    assert about["program"].startswith("napari-subpixel ")


def test_an_interrupted_run_leaves_no_output_and_resumes_to_the_same_bytes(job, tmp_path):
    run(job, tmp_path / "whole.csv")
    output = tmp_path / "out.csv"
    for chunk in detect_to_file(job, output):
        if chunk.stop == 12:
            break
    assert not output.exists()
    assert len(list((tmp_path / "out.csv.partial").glob("*.parquet"))) == 3
    assert run(job, output, resume=True)[0] == 16
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not (tmp_path / "out.csv.partial").exists()


def test_what_was_written_is_the_value_of_the_generator_also_where_a_part_was_there(job, tmp_path):
    def value_of(generator):
        values.append((yield from generator))

    values = []
    next(detect_to_file(job, tmp_path / "out.parquet"))
    list(value_of(detect_to_file(job, tmp_path / "out.parquet", resume=True)))
    table = formats.read(tmp_path / "out.parquet")
    assert (values[0].n_molecules, values[0].provenance) == (len(table), table.provenance)
    assert set(table.frame) == set(range(30))


def test_resume_with_nothing_to_resume_just_starts(job, tmp_path):
    assert run(job, tmp_path / "out.csv", resume=True)[-1] == 30


def test_what_an_interrupted_run_left_is_not_lost_by_accident(job, tmp_path):
    next(detect_to_file(job, tmp_path / "out.csv"))
    with pytest.raises(UnfinishedRunError, match=r"out.csv.partial: an interrupted run left this"):
        run(job, tmp_path / "out.csv")
    assert run(job, tmp_path / "out.csv", overwrite=True)[0] == 4


def test_a_run_with_other_settings_is_not_mixed_in(job, tmp_path, movie):
    next(detect_to_file(job, tmp_path / "out.csv"))
    other = DetectionJob(job.stack, Detector("paper", threshold=0.3, device="cpu"), job.camera)
    with pytest.raises(ChangedRunError, match=r"another threshold \(0.1, now 0.3\)"):
        run(other, tmp_path / "out.csv", resume=True)


def test_a_movie_that_changed_is_not_resumed(job, tmp_path, movie):
    next(detect_to_file(job, tmp_path / "out.csv"))
    tifffile.imwrite(tmp_path / "movie.tif", movie[::-1], photometric="minisblack")
    with (
        open_stack(tmp_path / "movie.tif") as stack,
        pytest.raises(ChangedRunError, match="another fingerprint"),
    ):
        run(DetectionJob(stack, job.detector, job.camera), tmp_path / "out.csv", resume=True)


def test_a_run_killed_while_it_put_its_files_in_place_is_resumed(job, tmp_path):
    generator = detect_to_file(job, tmp_path / "out.csv")
    for chunk in generator:
        if chunk.stop == 30:
            break
    generator.close()
    (tmp_path / "out-protocol.txt").write_text("{}")
    assert run(job, tmp_path / "out.csv", resume=True) == []
    assert (tmp_path / "out.csv").exists()


def test_damaged_partial_results_are_not_resumed(job, tmp_path):
    next(detect_to_file(job, tmp_path / "out.csv"))
    (tmp_path / "out.csv.partial" / "job.json").write_text("{")
    with pytest.raises(ChangedRunError, match="the interrupted run had another"):
        run(job, tmp_path / "out.csv", resume=True)


def test_frames_and_region_keep_the_numbers_of_the_whole_movie(job, tmp_path):
    part = DetectionJob(job.stack, job.detector, job.camera, frames=(5, 17), roi=((8, 30), (10, 45)))
    table, whole = detect_all(part), detect_all(job)
    assert set(table.frame) == set(range(5, 17))
    rows, columns = np.rint(whole.y), np.rint(whole.x)
    inside = (whole.frame >= 5) & (whole.frame < 17) & (rows >= 8) & (rows < 30) & (columns >= 10) & (columns < 45)
    np.testing.assert_allclose(table.yx, whole.select(inside).yx, atol=1e-3)
    assert detect_all(part).provenance["roi"] == [[8, 30], [10, 45]]


@pytest.mark.parametrize("frames", [(0, 31), (-1, 5), (5, 5), (9, 3)])
def test_frames_beyond_the_movie_are_refused(job, frames):
    message = "do not lie within the movie's 0:30" if frames[0] < frames[1] else "hold none"
    with pytest.raises(InputError, match=message):
        DetectionJob(job.stack, job.detector, frames=frames)


def test_maps_that_do_not_fit_the_frames_are_refused(job):
    with pytest.raises(InputError, match="maps have shape"):
        DetectionJob(job.stack, job.detector, Camera(baseline=np.zeros((3, 4))))


def test_values_that_are_not_finite_are_refused_with_their_frame(detector, movie, tmp_path):
    bad = movie.astype(np.float32)
    bad[13, 5, 6] = np.nan
    with open_stack(bad, name="bad.tif") as stack, pytest.raises(InputError, match=r"bad.tif: frame 13 "):
        run(DetectionJob(stack, detector, Camera(pixel_size_nm=100)), tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_nm_are_not_written_without_a_pixel_size(detector, movie, tmp_path):
    with open_stack(movie, name="m") as stack:
        job = DetectionJob(stack, detector)
        with pytest.raises(PixelSizeError, match="does not say its pixel size"):
            run(job, tmp_path / "out.csv")
        run(job, tmp_path / "out.parquet")
    assert formats.read(tmp_path / "out.parquet").pixel_size_nm is None


def test_an_output_that_exists_is_refused_before_any_work(job, tmp_path):
    (tmp_path / "out.csv").write_text("precious")
    with pytest.raises(OutputExistsError, match="exists already"):
        run(job, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "precious"


def test_a_movie_without_molecules_gives_a_table_without_rows(detector, tmp_path):
    with open_stack(np.full((6, 40, 52), 100, np.uint16), name="dark") as stack:
        run(DetectionJob(stack, detector, Camera(pixel_size_nm=100)), tmp_path / "out.csv")
    assert len(formats.read(tmp_path / "out.csv")) == 0


def test_more_points_than_can_be_resolved_bring_a_warning(job):
    pixels = 40 * 52
    assert crowding_warning(job, int(0.11 * pixels) * 30, 30) is None
    assert crowding_warning(job, 0, 0) is None
    warning = crowding_warning(job, int(0.2 * pixels) * 30, 30)
    assert warning.startswith("too many points: 416 per frame, 0.20 per pixel, are more than")
    assert "that the model paper was trained on: knows one PSF" in warning
    part = DetectionJob(job.stack, job.detector, roi=((0, 10), (0, 20)))
    assert crowding_warning(part, 30, 1)
    assert not crowding_warning(job, 30, 1)


def test_too_many_points_in_a_part_of_the_frame_bring_a_warning_too(job):
    points = np.zeros((40, 52), np.int64)
    points[2, 3], points[35, 40] = 29, 30  # beads: a point in every frame
    assert crowding_warning(job, int(points.sum()), 30, points) is None
    points[16:32, 16:32] = 5
    number = int(points.sum())
    assert crowding_warning(job, number, 30) is None
    warning = crowding_warning(job, number, 30, points)
    assert warning.startswith(
        "too many points in a part of the frame, y 16 to 31, x 16 to 31: 96% of all, 0.17 per pixel"
    )
    part = DetectionJob(job.stack, job.detector, roi=((16, 40), (16, 52)))
    assert "y 16 to 31, x 16 to 31: " in crowding_warning(part, number, 30, points)


def test_partial_results_say_in_json_what_they_belong_to(job, tmp_path):
    next(detect_to_file(job, tmp_path / "out.csv"))
    about = json.loads((tmp_path / "out.csv.partial" / "job.json").read_text())
    assert {"movie", "model", "threshold", "camera", "frames", "roi", "fingerprint"} <= set(about)


# -- a model that measures ---------------------------------------------------------------------------------------------


@pytest.fixture
def measuring() -> Detector:
    torch.manual_seed(3)
    network = UNet(width=8).eval()
    return Detector(Model(ModelCard("many", "a test", network.config, "counts", 0.03, "0" * 64), network), device="cpu")


def test_a_measuring_model_gets_camera_and_sigma(job, measuring, movie):
    camera = Camera(pixel_size_nm=100, baseline=90, electrons_per_adu=0.5)
    full = replace(job, detector=measuring, camera=camera, sigma_px=1.3, assumed=("PSF from the movie",))
    found = detect_all(full)
    assert len(found) == len(measuring.detect(movie, camera=camera, sigma_px=1.3))
    assert {"photons", "background", "y_uncertainty", "x_uncertainty"} <= set(found.columns)
    assert found.provenance["sigma_px"] == 1.3
    assert found.provenance["assumed"] == ["PSF from the movie"]


def test_what_lies_outside_the_domain_is_a_warning_kept_in_the_table(job, measuring, tmp_path):
    card = replace(measuring.card, domain=Domain(density_per_px=(0, 1e-4)).to_dict())
    detector = Detector(Model(card, measuring.model.network), device="cpu")
    run(replace(job, detector=detector, sigma_px=2.5), tmp_path / "out.parquet")
    warnings = formats.read(tmp_path / "out.parquet").provenance["warnings"]
    assert warnings[0].startswith("outside what the model many was trained on: PSF: sigma 2.5 px is above 2: ")
    assert any("density: " in line for line in warnings)


@pytest.mark.parametrize(("widths", "warned"), [((1.1, 2.0), True), ((1.3, 1.3), False)])
def test_spots_that_are_not_round_bring_a_warning(measuring, widths, warned, rng):
    frame, n = np.repeat(np.arange(10), 9), 90
    y, x = (np.tile(grid.ravel(), 10) + rng.uniform(-2, 2, n) for grid in np.mgrid[15:100:30, 15:100:30])
    # As in a sample that lies above and below the focus: half of the spots are long in y, half in x.
    long = rng.random(n) < 0.5
    sigma = np.where(long[:, None], widths, widths[::-1])
    light = np.zeros((10, 95, 100), np.float32)
    add_gaussians(light, frame, y, x, np.full(n, 1500.0), *sigma.T)
    options = DetectionOptions(Camera(pixel_size_nm=100), psf=GaussianPSF(150.0), estimate_camera=False)
    job = job_for(open_stack(rng.poisson(light + 10).astype(np.uint16)), measuring, options)
    words = out_of_domain(job, NOTHING)
    assert ("by" in "".join(words) and "astigmatic" in "".join(words)) == warned


def test_a_movie_within_the_domain_gives_no_warning(job, measuring):
    assert out_of_domain(replace(job, detector=measuring, sigma_px=1.3), NOTHING) == []
    within = replace(measuring.card, domain=Domain().to_dict())
    detector = Detector(Model(within, measuring.model.network), device="cpu")
    assert out_of_domain(replace(job, detector=detector, sigma_px=1.3), NOTHING) == []


def test_medians_of_a_long_table_are_taken_of_all_its_parts(monkeypatch):
    monkeypatch.setattr("napari_subpixel.runs.quality_warnings.MAX_MEDIAN_ROWS", 8)
    photons = np.arange(400, dtype=np.float32)
    zeros = np.zeros(100)
    parts = [
        Localizations({"frame": zeros, "y": zeros, "x": zeros, "photons": part, "background": 2 * part})
        for part in np.split(photons, 4)
    ]
    summary = TableSummary.of(parts)
    assert summary.n_points == 400
    assert summary.medians["photons"] == pytest.approx(200, abs=70)
    assert summary.medians["background"] == 2 * summary.medians["photons"]


def test_what_is_not_given_of_the_microscope_is_estimated_and_said(job, measuring):
    known = Camera(pixel_size_nm=100, baseline=90, electrons_per_adu=0.5)
    given = job_for(job.stack, measuring, DetectionOptions(known, psf=GaussianPSF(sigma_nm=130)))
    assert (given.camera, given.sigma_px) == (known, 1.3)
    brightness = f"brightness from the movie: a molecule gives {given.molecule_photons:,.0f} photons in a frame"
    assert sources(given) == ["brightness"]
    assert given.assumed[-1] == brightness
    half = job_for(job.stack, measuring, DetectionOptions(known))
    assert half.camera == known
    assert sources(half) == ["PSF", "brightness"]
    bare = job_for(job.stack, measuring, DetectionOptions(frames=(2, 5), roi=((1, 9), (2, 30))))
    assert sources(bare) == ["camera", "PSF", "brightness"]
    assert (bare.span, bare.roi) == ((2, 5), ((1, 9), (2, 30)))
    assert bare.camera.electrons_per_adu != 1
    with pytest.raises(PixelSizeError, match="the pixel size is not known"):
        job_for(job.stack, measuring, DetectionOptions(psf=GaussianPSF(sigma_nm=130)))


def test_a_pixel_size_other_than_the_metadatas_is_reported_in_the_table(job, measuring):
    job.stack.pixel_size_nm = 100.0
    options = DetectionOptions(Camera(160.0, 90.0, 0.5), psf=GaussianPSF(200.0))
    for detector in (measuring, job.detector):
        other = job_for(job.stack, detector, options)
        (warning,) = provenance_with_warnings(replace(other, cautions=()), {}, NOTHING)["warnings"][:1]
        assert warning == "the given pixel size is 160 nm, that of the movie's metadata 100 nm"
        near = job_for(job.stack, detector, replace(options, camera=Camera(104.0, 90.0, 0.5)))
        assert not [warning for warning in near.warnings if "pixel size" in warning]


def test_a_psf_in_another_unit_is_refused_before_any_frame(job, measuring):
    job.stack.pixel_size_nm = 100.0
    for detector in (measuring, job.detector):
        with pytest.raises(ImplausibleError, match=r"^movie.tif: psf: a sigma of 0.13 nm .*did you mean 130\?"):
            job_for(job.stack, detector, DetectionOptions(psf=GaussianPSF(0.13)))


def test_a_model_that_does_not_measure_needs_nothing_of_the_microscope(job):
    assert replace(job_for(job.stack, job.detector), saturation_adu=None) == DetectionJob(job.stack, job.detector)


def test_a_measuring_model_without_sigma_is_refused_at_once(job, measuring):
    with pytest.raises(InputError, match=r"movie.tif: the model many needs the width of the point spread function"):
        replace(job, detector=measuring)


def test_a_chunk_comes_as_soon_as_it_is_detected_however_slowly_the_movie_is_read(job, detector):
    class Slow(Stack):
        n_read = 0

        def read(self, start, stop, roi=None):
            time.sleep(0.5)
            self.n_read += 1
            return super().read(start, stop, roi)

    stack = Slow(ArraySource(job.stack[:], "slow"), name="slow")
    chunks = detect(replace(job, stack=stack))
    assert next(chunks).stop == 4
    assert stack.n_read <= 2
    assert [chunk.stop for chunk in chunks] == [8, 12, 16, 20, 24, 28, 30]


def test_what_was_read_before_a_fault_is_detected_first(detector, movie):
    bad = movie.astype(np.float32)
    bad[13, 5, 6] = np.nan
    chunks, stops = detect(DetectionJob(open_stack(bad, name="bad"), detector)), []
    with pytest.raises(InputError, match="frame 13"):
        stops.extend(chunk.stop for chunk in chunks)
    assert stops == [4, 8, 12]


def test_the_number_of_threads_changes_no_bit(job, measuring):
    given, before = replace(job, detector=measuring, sigma_px=1.3), torch.get_num_threads()
    tables = []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            tables.append(detect_all(given).table)
            assert torch.get_num_threads() == n
    finally:
        torch.set_num_threads(before)
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0], check_exact=True)
