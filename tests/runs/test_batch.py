"""Several movies into as many tables: their progress, warnings and outcomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.detection import chunks
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.errors import InputError, SeriesError
from napari_subpixel.runs import batch
from napari_subpixel.runs.batch import MovieProgress, Outcome, detect_batch
from napari_subpixel.runs.movie_lists import check_inputs_stay, pair_outputs, sidecar_of
from napari_subpixel.stacks import SplitMovie

CAMERA = Camera(pixel_size_nm=100)


@pytest.fixture(scope="module")
def frames(thirty_frames) -> np.ndarray:
    return thirty_frames[:10]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of 4 frames, so that a short movie has several."""
    monkeypatch.setattr(chunks, "CHUNK_PIXELS", 4 * 40 * 52)


@pytest.fixture
def closed(monkeypatch) -> list:
    """Every movie that is opened; at the end all of them must be closed."""
    stacks, really_open = [], batch.open_stack

    def noted(path, **options):
        stacks.append(really_open(path, **options))
        return stacks[-1]

    monkeypatch.setattr(batch, "open_stack", noted)
    yield stacks
    for stack in stacks:
        with pytest.raises(ValueError, match="is closed"):
            stack.read(0, 1)


def write_tiff(path: Path, frames: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, frames, photometric="minisblack", metadata=None)
    return path


def names(paths) -> list[str]:
    return [path.name for path in paths]


def outcomes(events) -> list[Outcome]:
    return [event for event in events if isinstance(event, Outcome)]


# -- which files are movies ---------------------------------------------------------------------------------------


# -- detection ----------------------------------------------------------------------------------------------------


def test_every_movie_yields_its_progress_and_then_its_outcome(detector, frames, tmp_path, closed):
    movies = [write_tiff(tmp_path / "a.tif", frames), write_tiff(tmp_path / "b.tif", frames[:6])]
    events = list(detect_batch(pair_outputs(movies, tmp_path), detector, DetectionOptions(CAMERA)))
    progress = [(e.movie.name, e.number, e.n_done, e.n_frames) for e in events if isinstance(e, MovieProgress)]
    assert progress == [("a.tif", 1, n, 10) for n in (0, 4, 8, 10)] + [("b.tif", 2, n, 6) for n in (0, 4, 6)]
    assert {e.n_movies for e in events if isinstance(e, MovieProgress)} == {2}
    first, second = outcomes(events)
    assert (first.status, first.n_frames, first.n_detected, first.error) == ("done", 10, 10, None)
    assert first.frames_per_second == pytest.approx(10 / first.seconds)
    assert first.n_molecules == len(formats.read(tmp_path / "a.csv"))
    assert second.n_molecules == len(formats.read(tmp_path / "b.csv")) > 50
    assert len(closed) == 2


def test_a_movie_that_fails_does_not_stop_the_others(detector, frames, tmp_path, closed):
    bad = frames.astype(np.float32)
    bad[7, 5, 6] = np.nan
    movies = [
        tmp_path / "gone.tif",
        write_tiff(tmp_path / "nan.tif", bad),
        write_tiff(tmp_path / "small.tif", frames[:, :20, :30]),
        write_tiff(tmp_path / "good.tif", frames),
    ]
    events = list(
        detect_batch(pair_outputs(movies, tmp_path), detector, DetectionOptions(CAMERA, roi=((0, 40), (0, 52))))
    )
    gone, nan, small, good = outcomes(events)
    assert str(gone.error) == f"{tmp_path}/gone.tif: no such file"
    assert str(nan.error).startswith("nan.tif: frame 7 holds nan")
    assert str(small.error) == f"{tmp_path}/small.tif: region of interest: y 0:40 does not lie within 0:20"
    assert [o.status for o in outcomes(events)] == ["failed"] * 3 + ["done"]
    assert good.error is None
    assert sorted(p.name for p in tmp_path.glob("*.csv")) == ["good.csv"]


def test_an_empty_name_is_no_movie(detector, tmp_path):
    (outcome,) = detect_batch([("", tmp_path / "a.csv")], detector, DetectionOptions(CAMERA))
    assert "an empty file name was given" in str(outcome.error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "m.tif: there is not enough memory for this"),
        (OSError(28, "No space left on device", "t.csv"), "t.csv: the disk is full; nothing was written"),
        (PermissionError(13, "Permission denied"), "m.tif: could not be written: Permission denied"),
    ],
)
def test_an_error_of_the_machine_names_the_movie(error, words):
    assert str(batch._naming_movie(Path("m.tif"), error)) == words


def test_an_error_of_the_program_in_one_movie_leaves_the_others(detector, frames, tmp_path, monkeypatch, caplog):
    detect = Detector.detect

    def broken_at_first(*arguments, **settings):
        monkeypatch.setattr(Detector, "detect", detect)
        raise KeyError("a bug")

    monkeypatch.setattr(Detector, "detect", broken_at_first)
    movies = [write_tiff(tmp_path / f"{name}.tif", frames) for name in "ab"]
    with caplog.at_level("DEBUG", "napari_subpixel"):
        bad, good = outcomes(detect_batch(pair_outputs(movies, tmp_path), detector, DetectionOptions(CAMERA)))
    assert str(bad.error) == f"{movies[0]}: unexpected KeyError: 'a bug'"
    assert "broken_at_first" in caplog.text
    assert good.error is None


def test_an_error_of_the_program_is_not_swallowed(detector, frames, tmp_path, monkeypatch, closed):
    def broken(*_args, **_settings):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Detector, "detect", broken)
    movies = [write_tiff(tmp_path / "a.tif", frames)]
    with pytest.raises(RuntimeError, match="a bug"):
        list(detect_batch(pair_outputs(movies, tmp_path), detector, DetectionOptions(CAMERA)))


def test_frames_are_counted_in_every_movie(detector, frames, tmp_path):
    movies = [write_tiff(tmp_path / "a.tif", frames), write_tiff(tmp_path / "b.tif", frames[:6])]
    pairs = pair_outputs(movies, tmp_path, "parquet")
    long, short = outcomes(detect_batch(pairs, detector, DetectionOptions(frames=(3, None))))
    assert (long.n_frames, short.n_frames) == (7, 3)
    assert set(formats.read(tmp_path / "b.parquet").frame) == {3, 4, 5}
    long, short = outcomes(detect_batch(pairs, detector, DetectionOptions(frames=(None, 8)), overwrite=True))
    assert long.n_frames == 8
    assert "frames 0:8 do not lie within the movie's 0:6" in str(short.error)


def test_a_batch_that_was_closed_is_resumed_where_it_was(detector, frames, tmp_path, closed):
    movies = [write_tiff(tmp_path / f"{name}.tif", frames) for name in "abc"]
    pairs = pair_outputs(movies, tmp_path)
    running = detect_batch(pairs, detector, DetectionOptions(CAMERA))
    for event in running:
        if isinstance(event, MovieProgress) and (event.number, event.n_done) == (2, 4):
            break
    running.close()
    assert [t.exists() for _, t in pairs] == [True, False, False]
    assert (tmp_path / "b.csv.partial").is_dir()
    first, second, third = outcomes(detect_batch(pairs, detector, DetectionOptions(CAMERA), resume=True))
    assert (first.status, first.n_frames, first.frames_per_second) == ("skipped", 0, None)
    assert (second.n_frames, second.n_detected, third.n_detected) == (10, 6, 10)
    assert second.n_molecules == third.n_molecules
    assert (tmp_path / "b.csv").read_bytes().splitlines()[1:] == (tmp_path / "c.csv").read_bytes().splitlines()[1:]
    assert not (tmp_path / "b.csv.partial").exists()


def test_tables_that_are_there_are_refused_or_replaced(detector, frames, tmp_path):
    pairs = pair_outputs([write_tiff(tmp_path / "a.tif", frames)], tmp_path)
    pairs[0][1].write_text("precious")
    (refused,) = outcomes(detect_batch(pairs, detector, DetectionOptions(CAMERA)))
    assert "a.csv: exists already" in str(refused.error)
    assert pairs[0][1].read_text() == "precious"
    (done,) = outcomes(detect_batch(pairs, detector, DetectionOptions(CAMERA), overwrite=True))
    assert done.n_molecules > 50


def test_warnings_about_a_result_come_with_its_outcome(frames, tmp_path):
    noise = np.random.default_rng(0).poisson(100, (4, 40, 52)).astype(np.uint16)
    pairs = pair_outputs([write_tiff(tmp_path / "noise.tif", noise)], tmp_path, "parquet")
    (outcome,) = outcomes(detect_batch(pairs, Detector("paper", threshold=0.01, device="cpu")))
    assert outcome.status == "done"
    assert "noise.tif: " in outcome.warnings[0]
    assert "more than can be resolved" in outcome.warnings[0]


def test_of_several_images_in_a_file_one_is_to_be_chosen(detector, frames, tmp_path):
    with tifffile.TiffWriter(tmp_path / "two.tif") as tif:
        for movie in (frames, frames[:3, :30]):
            tif.write(movie, photometric="minisblack")
    pairs = pair_outputs([tmp_path / "two.tif"], tmp_path)
    (outcome,) = outcomes(detect_batch(pairs, detector, DetectionOptions(CAMERA)))
    assert isinstance(outcome.error, SeriesError)
    (outcome,) = outcomes(detect_batch(pairs, detector, DetectionOptions(CAMERA, series=1)))
    assert outcome.n_frames == 3
    assert formats.read(pairs[0][1]).provenance["movie"] == "two.tif (series 1)"


def test_what_is_noticed_in_the_files_of_a_movie_is_a_warning_of_its_result(detector, frames, tmp_path):
    (tmp_path / "cell").mkdir()
    for number in (0, 1, 2, 4):
        tifffile.imwrite(tmp_path / "cell" / f"img_{number}.tif", frames[number])
    pairs = pair_outputs([tmp_path / "cell"], tmp_path)
    (outcome,) = outcomes(detect_batch(pairs, detector, DetectionOptions(CAMERA)))
    assert outcome.warnings[0].startswith("cell: the names of the files have a gap: img_2.tif is followed by img_4.tif")
    assert "have a gap" in formats.read(pairs[0][1]).provenance["warnings"][0]


def test_a_movie_in_parts_becomes_one_table_with_frames_counted_on(detector, frames, tmp_path):
    whole = write_tiff(tmp_path / "whole.tif", frames)
    parts = [write_tiff(tmp_path / "a.tif", frames[:3]), write_tiff(tmp_path / "a_1.tif", frames[3:])]
    pairs = [*pair_outputs([whole], tmp_path), *pair_outputs([SplitMovie(parts)], tmp_path)]
    assert [table.name for _, table in pairs] == ["whole.csv", "a.csv"]
    done = outcomes(detect_batch(pairs, detector, DetectionOptions(CAMERA)))
    assert [outcome.error for outcome in done] == [None, None]
    tables = [formats.read(table) for _, table in pairs]
    np.testing.assert_array_equal(tables[0].frame, tables[1].frame)
    np.testing.assert_array_equal(tables[0].yx, tables[1].yx)
    with pytest.raises(InputError, match="is an input"):
        check_inputs_stay([(SplitMovie(parts), tmp_path / "b.csv")], also_written=[parts[1]])


def test_a_folder_that_is_empty_says_so_when_it_is_opened(detector, tmp_path):
    (tmp_path / "empty").mkdir()
    (outcome,) = detect_batch([(tmp_path / "empty", tmp_path / "empty.csv")], detector)
    assert str(outcome.error) == f"{tmp_path}/empty: no TIFF files and no Zarr in this folder; it holds nothing"


def test_no_movies_are_no_work(detector):
    assert list(detect_batch([], detector)) == []


# -- settings of one movie ----------------------------------------------------------------------------------------


def settings_of(movie: Path, text: str) -> Path:
    path = sidecar_of(movie)
    path.write_text(text)
    return path


def test_settings_of_a_sidecar_override_those_of_all(detector, frames, tmp_path):
    movies = [write_tiff(tmp_path / f"{name}.tif", frames) for name in "ab"]
    settings_of(movies[0], "camera: {pixel_size_nm: 80}\nframes: [2, null]\nroi: [[0, 20], [5, 40]]\nthreshold: 0.4\n")
    pairs = pair_outputs(movies, tmp_path, "parquet")
    camera = Camera(pixel_size_nm=100, baseline=90)
    own, general = outcomes(detect_batch(pairs, detector, DetectionOptions(camera, frames=(0, 6))))
    assert (own.n_frames, general.n_frames) == (8, 6)
    assert own.own_settings == "camera, frames, roi, threshold from a.subpixel.yaml"
    assert own.how == "model paper, threshold 0.4"
    assert (general.own_settings, general.how) == ("", "model paper, threshold 0.1")
    about = formats.read(tmp_path / "a.parquet").provenance
    assert about["camera"] == {"pixel_size_nm": 80.0, "baseline": 90.0}
    assert (about["frames"], about["roi"], about["threshold"]) == ([2, 10], [[0, 20], [5, 40]], 0.4)


def test_a_sidecar_may_name_another_model_whose_own_threshold_then_holds(detector, frames, tmp_path):
    movie = write_tiff(tmp_path / "a.tif", frames)
    settings_of(movie, "model: fast\ncamera: {baseline: 100, electrons_per_adu: 0.5}\npsf: {sigma_nm: 110}")
    (outcome,) = outcomes(
        detect_batch(pair_outputs([movie], tmp_path), detector, DetectionOptions(CAMERA, estimate_camera=True))
    )
    assert outcome.how == "model fast, threshold 0.5"
    assert not any(what.startswith(("camera", "PSF")) for what in outcome.assumed)  # they were given
    about = formats.read(tmp_path / "a.csv").provenance
    assert about["sigma_px"] == pytest.approx(1.1)


def test_a_bad_sidecar_fails_its_movie_alone(detector, frames, tmp_path):
    movies = [write_tiff(tmp_path / f"{name}.tif", frames) for name in "ab"]
    path = settings_of(movies[0], "treshold: 0.3")
    bad, good = outcomes(detect_batch(pair_outputs(movies, tmp_path), detector, DetectionOptions(CAMERA)))
    assert f"{path}: settings: unknown field 'treshold'; did you mean 'threshold'" in str(bad.error)
    assert good.status == "done"
    path.write_text("model: fats")
    (bad,) = outcomes(detect_batch(pair_outputs(movies[:1], tmp_path), detector, DetectionOptions(CAMERA)))
    assert f"{path}: fats: no such model; did you mean 'fast'" in str(bad.error)


def test_yaml_of_other_programs_next_to_a_movie_is_not_read(detector, frames, tmp_path):
    movie = write_tiff(tmp_path / "a.tif", frames)
    (tmp_path / "a.yaml").write_text("Frames: 10\n---\nGenerated by: Picasso\n")
    (outcome,) = outcomes(detect_batch(pair_outputs([movie], tmp_path), detector, DetectionOptions(CAMERA)))
    assert outcome.status == "done"


def test_a_sidecar_is_never_written_over(tmp_path):
    movie = write_tiff(tmp_path / "cell.tif", np.zeros((2, 8, 9), np.uint16))
    path = settings_of(movie, "threshold: 0.3")
    with pytest.raises(InputError, match=r"cell.subpixel.yaml: is an input"):
        check_inputs_stay([(movie, tmp_path / "cell.subpixel.hdf5")])
    assert path.read_text() == "threshold: 0.3"


def test_a_sidecar_that_changed_since_an_interrupted_run_is_refused(detector, frames, tmp_path):
    movie = write_tiff(tmp_path / "a.tif", frames)
    settings_of(movie, "threshold: 0.3")
    pairs = pair_outputs([movie], tmp_path)
    running = detect_batch(pairs, detector, DetectionOptions(CAMERA))
    next(event for event in running if isinstance(event, MovieProgress) and event.n_done)
    running.close()
    settings_of(movie, "threshold: 0.4")
    (outcome,) = outcomes(detect_batch(pairs, detector, DetectionOptions(CAMERA), resume=True))
    assert "had another threshold (0.3, now 0.4)" in str(outcome.error)
