"""Several movies into as many tables: which files are movies, what the tables are called, and what became of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_subpixel import batch, formats, jobs
from napari_subpixel.batch import (
    Outcome,
    Progress,
    check_inputs_stay,
    detect_batch,
    find_movies,
    gather_movies,
    pair_outputs,
    sidecar_of,
)
from napari_subpixel.camera import Camera
from napari_subpixel.detector import Detector
from napari_subpixel.errors import InputError
from napari_subpixel.files import make_folder
from napari_subpixel.simulate import Simulation, simulate
from napari_subpixel.stacks.folders import is_folder_of_frames
from napari_subpixel.stacks.tiff_pages import holds_one_frame

SIMULATION = Simulation(frame_shape=(40, 52), n_frames=10, structure="uniform", emitters_per_frame=20, photons=2250)
CAMERA = Camera(pixel_size_nm=100)
OME = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{}</OME>'


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector("paper", device="cpu")


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return simulate(SIMULATION, np.random.default_rng(3))[0]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of 4 frames, so that a short movie has several."""
    monkeypatch.setattr(jobs, "CHUNK_PIXELS", 4 * 40 * 52)


@pytest.fixture
def closed(monkeypatch) -> list:
    """Every movie that is opened; at the end all of them must be closed."""
    stacks, really_open = [], batch.open_stack

    def noted(path):
        stacks.append(really_open(path))
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


def write_ome(path: Path, body: str) -> Path:
    tifffile.imwrite(
        path, np.zeros((3, 8, 9), np.uint16), description=OME.format(body), metadata=None, photometric="minisblack"
    )
    return path


def image(*files: str) -> str:
    return "<Image>" + "".join(f'<TiffData><UUID FileName="{name}">u</UUID></TiffData>' for name in files) + "</Image>"


def names(paths) -> list[str]:
    return [path.name for path in paths]


def outcomes(events) -> list[Outcome]:
    return [event for event in events if isinstance(event, Outcome)]


# -- which files are movies ---------------------------------------------------------------------------------------


def test_movies_are_listed_as_people_number_them_and_other_files_left_out(tmp_path):
    for name in (
        "cell10.tif",
        "cell2.TIFF",
        "cell1.ome.tif",
        "big.btf",
        "a.csv",
        "notes.txt",
        ".cell3.tif",
        "x.tif.txt",
    ):
        (tmp_path / name).write_bytes(b"")
    zarr.save_array(tmp_path / "cell3.zarr", np.zeros((2, 3, 4)))
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "cell0.tif").write_bytes(b"")
    assert names(find_movies(tmp_path)) == ["big.btf", "cell1.ome.tif", "cell2.TIFF", "cell3.zarr", "cell10.tif"]
    assert names(find_movies(tmp_path, "cell?.*")) == ["cell1.ome.tif", "cell2.TIFF", "cell3.zarr"]
    assert "cell0.tif" in names(find_movies(tmp_path, "**/*.tif"))


def test_the_arrays_within_a_zarr_are_no_movies_of_their_own(tmp_path):
    zarr.open_group(tmp_path / "movie.zarr", mode="w").create_array("0", shape=(2, 3, 4), dtype="u2")
    assert find_movies(tmp_path, "**/*") == [tmp_path / "movie.zarr"]


def test_a_folder_without_movies_says_what_it_holds(tmp_path):
    (tmp_path / "table.csv").write_text("")
    with pytest.raises(InputError, match=r"no TIFF files and no Zarr named '\*' in this folder; it holds table.csv"):
        find_movies(tmp_path)
    (tmp_path / "table.csv").unlink()
    with pytest.raises(InputError, match=r"named 'cell\*' in this folder; it holds nothing"):
        find_movies(tmp_path, "cell*")


def test_what_is_no_folder_of_movies_is_refused(tmp_path):
    with pytest.raises(InputError, match="gone: no such folder"):
        find_movies(tmp_path / "gone")
    movie = write_tiff(tmp_path / "m.tif", np.zeros((2, 3, 4), np.uint16))
    with pytest.raises(InputError, match=r"m.tif: is not a folder"):
        find_movies(movie)
    zarr.save_array(tmp_path / "m.zarr", np.zeros((2, 3, 4)))
    with pytest.raises(InputError, match=r"m.zarr: is itself a movie"):
        find_movies(tmp_path / "m.zarr")


@pytest.mark.parametrize("pattern", ["", "/absolute/*.tif", "a**b", "x" * 300])
def test_a_pattern_that_is_none_is_refused(tmp_path, pattern):
    write_tiff(tmp_path / "m.tif", np.zeros((2, 3, 4), np.uint16))
    with pytest.raises(InputError):
        find_movies(tmp_path, pattern)


def test_an_ome_movie_in_several_files_is_listed_once(tmp_path):
    both = image("a.ome.tif", "a_1.ome.tif")
    write_ome(tmp_path / "a.ome.tif", both)
    write_ome(tmp_path / "a_1.ome.tif", both)
    write_ome(tmp_path / "b.ome.tif", image("b.ome.tif", "b_&amp;.ome.tif"))
    write_ome(tmp_path / "b_&.ome.tif", '<BinaryOnly MetadataFile="b.ome.tif" UUID="u"/>')
    (tmp_path / "c.companion.ome").write_text(OME.format(image("c_1.ome.tif", "c_2.ome.tif")))
    for name in ("c_1.ome.tif", "c_2.ome.tif"):
        write_ome(tmp_path / name, '<BinaryOnly MetadataFile="c.companion.ome" UUID="u"/>')
    assert names(find_movies(tmp_path)) == ["a.ome.tif", "b.ome.tif", "c_1.ome.tif"]


def test_ome_movies_of_their_own_are_all_listed_whatever_they_are_called(tmp_path):
    """A renamed copy names the file it was; two images that one XML tells of are two movies."""
    write_ome(tmp_path / "a.ome.tif", image("a.ome.tif"))
    write_ome(tmp_path / "copy.ome.tif", image("a.ome.tif"))
    positions = image("p0.ome.tif") + image("p1.ome.tif")
    for name in ("p0.ome.tif", "p1.ome.tif"):
        write_ome(tmp_path / name, positions)
    write_ome(tmp_path / "p2.ome.tif", '<BinaryOnly MetadataFile="p0.ome.tif" UUID="u"/>')
    write_ome(tmp_path / "p3.ome.tif", '<BinaryOnly MetadataFile="gone.ome.tif" UUID="u"/>')
    (tmp_path / "damaged.ome.tif").write_bytes(b"II*\0")
    assert len(find_movies(tmp_path)) == 7


def test_a_folder_of_single_frames_is_one_movie_and_any_other_holds_movies(tmp_path):
    for n in range(3):
        write_tiff(tmp_path / "frames" / f"img_{n}.tif", np.zeros((1, 8, 9), np.uint16))
        write_tiff(tmp_path / "mixed" / f"img_{n}.tif", np.zeros((1 + n, 8, 9), np.uint16))
    (tmp_path / "frames" / "img_3.tif").write_bytes(b"damaged")
    assert is_folder_of_frames(tmp_path / "frames")
    assert find_movies(tmp_path / "frames") == [tmp_path / "frames"]
    assert not is_folder_of_frames(tmp_path / "mixed")
    assert names(find_movies(tmp_path / "mixed")) == ["img_0.tif", "img_1.tif", "img_2.tif"]
    (tmp_path / "one").mkdir()
    assert not is_folder_of_frames(tmp_path / "one")


def test_frames_without_pages_of_their_own_are_told_by_the_size_of_the_file(tmp_path):
    page = write_tiff(tmp_path / "page.tif", np.zeros((1, 200, 210), np.uint16))
    assert holds_one_frame(page) is True
    page.write_bytes(page.read_bytes() + bytes(3 * 200 * 210 * 2))
    assert holds_one_frame(page) is False
    assert holds_one_frame(write_tiff(tmp_path / "two.tif", np.zeros((2, 8, 9), np.uint16))) is False
    assert holds_one_frame(tmp_path / "gone.tif") is None


# -- what is typed ------------------------------------------------------------------------------------------------


@pytest.fixture
def typed(tmp_path, monkeypatch) -> Path:
    """A folder to type in: ``day1`` with two movies and a note, ``day2`` with a Zarr and a folder of frames."""
    monkeypatch.chdir(tmp_path)
    for name in ("day1/cell10.tif", "day1/cell2.tif", "loose.tif"):
        write_tiff(tmp_path / name, np.zeros((2, 8, 9), np.uint16))
    (tmp_path / "day1" / "notes.txt").write_text("")
    zarr.save_array(tmp_path / "day2" / "a.zarr", np.zeros((2, 3, 4)))
    for n in range(3):
        write_tiff(tmp_path / "day2" / "frames" / f"img_{n}.tif", np.zeros((1, 8, 9), np.uint16))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "movies"),
    [
        (["loose.tif"], ["loose.tif"]),
        (["day1"], ["day1/cell2.tif", "day1/cell10.tif"]),
        (["day2"], ["day2/a.zarr"]),
        (["day2/frames"], ["day2/frames"]),
        (["day2/a.zarr"], ["day2/a.zarr"]),
        (["day1/cell?.tif"], ["day1/cell2.tif"]),
        (["day2/*"], ["day2/a.zarr", "day2/frames"]),
        (["day*"], ["day1/cell2.tif", "day1/cell10.tif", "day2/a.zarr"]),
        (["**"], ["day1/cell2.tif", "day1/cell10.tif", "day2/a.zarr", "day2/frames", "loose.tif"]),
        (["loose.tif", "day1", "day1/*"], ["loose.tif", "day1/cell2.tif", "day1/cell10.tif"]),
        (["loose.subpixel.yaml", "loose.tif"], ["loose.tif"]),
        (["gone.tif", "day1/notes.txt"], ["gone.tif", "day1/notes.txt"]),
    ],
)
def test_names_stand_for_movies_folders_and_patterns(typed, arguments, movies):
    assert [str(movie) for movie in gather_movies(arguments)] == movies


def test_a_folder_that_is_empty_stands_for_itself_and_says_so_when_it_is_opened(typed, detector):
    (typed / "empty").mkdir()
    assert gather_movies(["empty", ""]) == ["empty", ""]
    (outcome,) = detect_batch([("empty", typed / "empty.csv")], detector)
    assert outcome.error == "empty: no TIFF files and no Zarr in this folder; it holds nothing"


def test_a_file_goes_before_the_pattern_that_its_name_is_too(typed):
    write_tiff(typed / "cell[1].tif", np.zeros((2, 8, 9), np.uint16))
    assert gather_movies(["cell[1].tif"]) == ["cell[1].tif"]


def test_a_pattern_without_movies_is_refused(typed):
    with pytest.raises(InputError, match=r"day1/\*.txt: no movie has such a name"):
        gather_movies(["loose.tif", "day1/*.txt"])


def test_a_list_names_movies_folders_and_patterns_relative_to_itself(typed, monkeypatch):
    listed = typed / "day1" / "list.txt"
    listed.write_text("\ufeff# the good ones\n\ncell2.tif\n../day2\n../l*.tif\ngone.tif\n", encoding="utf-8")
    monkeypatch.chdir(typed / "day2")
    movies = ["cell2.tif", "a.zarr", "loose.tif", "gone.tif"]
    assert names(map(Path, gather_movies([f"@{listed}"]))) == movies
    listed.write_text("# none\n")
    with pytest.raises(InputError, match=r"list.txt: names no movies"):
        gather_movies([f"@{listed}"])
    with pytest.raises(InputError, match=r"gone.txt: no such list of movies"):
        gather_movies(["@gone.txt"])
    with pytest.raises(InputError, match=r"cell2.tif: is no list of movies"):
        gather_movies(["@../day1/cell2.tif"])


# -- what the tables are called -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("movie", "stem"),
    [
        ("cell.tif", "cell"),
        ("cell.1.tif", "cell.1"),
        ("cell.OME.TIF", "cell"),
        ("cell.ome.zarr", "cell"),
        ("cell.ome.zarr.zip", "cell"),
        ("cell.stk", "cell"),
        ("cell", "cell"),
    ],
)
def test_a_table_is_named_after_its_movie(movie, stem, tmp_path):
    ((same, table),) = pair_outputs([movie], tmp_path, "hdf5")
    assert same == movie
    assert table == tmp_path / f"{stem}.hdf5"


def test_a_folder_of_frames_keeps_the_dots_of_its_name(tmp_path):
    movies = [tmp_path / "2024.05.01", tmp_path / "2024.05.02", tmp_path / "a.1.zarr"]
    for movie in movies:
        movie.mkdir()
    assert names(t for _, t in pair_outputs(movies, "out")) == ["2024.05.01.csv", "2024.05.02.csv", "a.1.csv"]


def test_movies_that_would_become_one_table_are_refused():
    with pytest.raises(InputError, match=r"cell.csv: several movies would become this table"):
        pair_outputs(["a/cell.tif", "b/cell.ome.tif"], "tables")
    with pytest.raises(InputError, match="unknown format 'parqet'; did you mean 'parquet'"):
        pair_outputs(["a/cell.tif"], "tables", "parqet")


def test_what_is_read_is_never_written(tmp_path):
    pairs = pair_outputs([tmp_path / "cell.tif"], tmp_path, "hdf5")
    check_inputs_stay(pairs, also_read=[tmp_path / "camera.yaml"])
    with pytest.raises(InputError, match=r"cell.yaml: is read by this command"):
        check_inputs_stay(pairs, also_read=[tmp_path / "cell.yaml"])


def test_a_folder_is_made_with_those_it_is_in(tmp_path):
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/sub: cannot make this folder: Not a directory"):
        make_folder(tmp_path / "file" / "sub")


# -- detection ----------------------------------------------------------------------------------------------------


def test_every_movie_tells_its_progress_and_then_what_became_of_it(detector, frames, tmp_path, closed):
    movies = [write_tiff(tmp_path / "a.tif", frames), write_tiff(tmp_path / "b.tif", frames[:6])]
    events = list(detect_batch(pair_outputs(movies, tmp_path), detector, CAMERA))
    told = [(e.movie.name, e.number, e.n_done, e.n_frames) for e in events if isinstance(e, Progress)]
    assert told == [("a.tif", 1, n, 10) for n in (0, 4, 8, 10)] + [("b.tif", 2, n, 6) for n in (0, 4, 6)]
    assert {e.n_movies for e in events if isinstance(e, Progress)} == {2}
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
    events = list(detect_batch(pair_outputs(movies, tmp_path), detector, CAMERA, roi=((0, 40), (0, 52))))
    gone, nan, small, good = outcomes(events)
    assert gone.error == f"{tmp_path}/gone.tif: no such file"
    assert nan.error.startswith("nan.tif: frame 7 holds nan")
    assert small.error == f"{tmp_path}/small.tif: region of interest: y 0:40 does not lie within 0:20"
    assert [o.status for o in outcomes(events)] == ["failed"] * 3 + ["done"]
    assert good.error is None
    assert sorted(p.name for p in tmp_path.glob("*.csv")) == ["good.csv"]


def test_an_empty_name_is_no_movie(detector, tmp_path):
    (outcome,) = detect_batch([("", tmp_path / "a.csv")], detector, CAMERA)
    assert "an empty file name was given" in outcome.error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "m.tif: there is not enough memory for this"),
        (OSError(28, "No space left on device", "t.csv"), "t.csv: the disk is full; nothing was written"),
        (PermissionError(13, "Permission denied"), "m.tif: could not be written: Permission denied"),
    ],
)
def test_an_error_of_the_machine_is_told_in_words_with_the_movie(error, words):
    assert batch._in_words(Path("m.tif"), error) == words


def test_an_error_of_the_program_is_not_swallowed(detector, frames, tmp_path, monkeypatch, closed):
    def broken(*_args, **_settings):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Detector, "detect", broken)
    movies = [write_tiff(tmp_path / "a.tif", frames)]
    with pytest.raises(RuntimeError, match="a bug"):
        list(detect_batch(pair_outputs(movies, tmp_path), detector, CAMERA))


def test_frames_are_counted_in_every_movie(detector, frames, tmp_path):
    movies = [write_tiff(tmp_path / "a.tif", frames), write_tiff(tmp_path / "b.tif", frames[:6])]
    pairs = pair_outputs(movies, tmp_path, "parquet")
    long, short = outcomes(detect_batch(pairs, detector, frames=(3, None)))
    assert (long.n_frames, short.n_frames) == (7, 3)
    assert set(formats.read(tmp_path / "b.parquet").frame) == {3, 4, 5}
    long, short = outcomes(detect_batch(pairs, detector, frames=(None, 8), overwrite=True))
    assert long.n_frames == 8
    assert "frames 0:8 do not lie within the movie's 0:6" in short.error


def test_a_batch_that_was_closed_goes_on_where_it_was(detector, frames, tmp_path, closed):
    movies = [write_tiff(tmp_path / f"{name}.tif", frames) for name in "abc"]
    pairs = pair_outputs(movies, tmp_path)
    running = detect_batch(pairs, detector, CAMERA)
    for event in running:
        if isinstance(event, Progress) and (event.number, event.n_done) == (2, 4):
            break
    running.close()
    assert [t.exists() for _, t in pairs] == [True, False, False]
    assert (tmp_path / "b.csv.partial").is_dir()
    first, second, third = outcomes(detect_batch(pairs, detector, CAMERA, resume=True))
    assert (first.status, first.n_frames, first.frames_per_second) == ("skipped", 0, None)
    assert (second.n_frames, second.n_detected, third.n_detected) == (10, 6, 10)
    assert second.n_molecules == third.n_molecules
    assert (tmp_path / "b.csv").read_bytes().splitlines()[1:] == (tmp_path / "c.csv").read_bytes().splitlines()[1:]
    assert not (tmp_path / "b.csv.partial").exists()


def test_tables_that_are_there_are_refused_or_replaced(detector, frames, tmp_path):
    pairs = pair_outputs([write_tiff(tmp_path / "a.tif", frames)], tmp_path)
    pairs[0][1].write_text("precious")
    (refused,) = outcomes(detect_batch(pairs, detector, CAMERA))
    assert "a.csv: exists already" in refused.error
    assert pairs[0][1].read_text() == "precious"
    (done,) = outcomes(detect_batch(pairs, detector, CAMERA, overwrite=True))
    assert done.n_molecules > 50


def test_what_is_doubtful_about_a_result_is_told(frames, tmp_path):
    noise = np.random.default_rng(0).poisson(100, (4, 40, 52)).astype(np.uint16)
    pairs = pair_outputs([write_tiff(tmp_path / "noise.tif", noise)], tmp_path, "parquet")
    (outcome,) = outcomes(detect_batch(pairs, Detector("paper", threshold=0.01, device="cpu")))
    assert outcome.status == "done"
    assert "noise.tif: " in outcome.warnings[0]
    assert "more than molecules can be told apart" in outcome.warnings[0]


def test_further_images_in_a_file_are_not_passed_over_in_silence(detector, frames, tmp_path):
    with tifffile.TiffWriter(tmp_path / "two.tif") as tif:
        for movie in (frames, frames[:3, :30]):
            tif.write(movie, photometric="minisblack")
    (outcome,) = outcomes(detect_batch(pair_outputs([tmp_path / "two.tif"], tmp_path), detector, CAMERA))
    assert outcome.warnings == ("two.tif: the file tells of 2 images, of which one was detected",)


def test_no_movies_are_no_work(detector):
    assert list(detect_batch([], detector)) == []


# -- settings of one movie ----------------------------------------------------------------------------------------


def settings_of(movie: Path, text: str) -> Path:
    path = sidecar_of(movie)
    path.write_text(text)
    return path


def test_a_sidecar_is_named_after_the_movie_and_lies_beside_it(tmp_path, monkeypatch):
    assert sidecar_of("a/cell.1.ome.tif") == Path("a/cell.1.subpixel.yaml")
    (tmp_path / "2024.05").mkdir()
    assert sidecar_of(tmp_path / "2024.05") == tmp_path / "2024.05.subpixel.yaml"
    monkeypatch.chdir(tmp_path / "2024.05")
    assert sidecar_of(".") == tmp_path / "2024.05.subpixel.yaml"


def test_settings_beside_a_movie_go_before_those_of_all(detector, frames, tmp_path):
    movies = [write_tiff(tmp_path / f"{name}.tif", frames) for name in "ab"]
    settings_of(movies[0], "camera: {pixel_size_nm: 80}\nframes: [2, null]\nroi: [[0, 20], [5, 40]]\nthreshold: 0.4\n")
    pairs = pair_outputs(movies, tmp_path, "parquet")
    camera = Camera(pixel_size_nm=100, baseline=90)
    own, general = outcomes(detect_batch(pairs, detector, camera, frames=(0, 6)))
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
    (outcome,) = outcomes(detect_batch(pair_outputs([movie], tmp_path), detector, CAMERA, estimate_camera=True))
    assert outcome.how == "model fast, threshold 0.5"
    assert not any("gain" in told or "PSF" in told for told in outcome.assumed)  # they were told
    about = formats.read(tmp_path / "a.csv").provenance
    assert about["sigma_px"] == pytest.approx(1.1)


def test_a_bad_sidecar_fails_its_movie_alone(detector, frames, tmp_path):
    movies = [write_tiff(tmp_path / f"{name}.tif", frames) for name in "ab"]
    path = settings_of(movies[0], "treshold: 0.3")
    bad, good = outcomes(detect_batch(pair_outputs(movies, tmp_path), detector, CAMERA))
    assert f"{path}: settings: unknown field 'treshold'; did you mean 'threshold'" in bad.error
    assert good.status == "done"
    path.write_text("model: fats")
    (bad,) = outcomes(detect_batch(pair_outputs(movies[:1], tmp_path), detector, CAMERA))
    assert f"{path}: fats: no such model; did you mean 'fast'" in bad.error


def test_yaml_of_other_programs_beside_a_movie_is_none_of_ours(detector, frames, tmp_path):
    movie = write_tiff(tmp_path / "a.tif", frames)
    (tmp_path / "a.yaml").write_text("Frames: 10\n---\nGenerated by: Picasso\n")
    (outcome,) = outcomes(detect_batch(pair_outputs([movie], tmp_path), detector, CAMERA))
    assert outcome.status == "done"


def test_a_sidecar_is_never_written_over(tmp_path):
    movie = write_tiff(tmp_path / "cell.tif", np.zeros((2, 8, 9), np.uint16))
    path = settings_of(movie, "threshold: 0.3")
    with pytest.raises(InputError, match=r"cell.subpixel.yaml: is read by this command"):
        check_inputs_stay([(movie, tmp_path / "cell.subpixel.hdf5")])
    assert path.read_text() == "threshold: 0.3"


def test_a_sidecar_that_changed_since_an_interrupted_run_is_told(detector, frames, tmp_path):
    movie = write_tiff(tmp_path / "a.tif", frames)
    settings_of(movie, "threshold: 0.3")
    pairs = pair_outputs([movie], tmp_path)
    running = detect_batch(pairs, detector, CAMERA)
    next(event for event in running if isinstance(event, Progress) and event.n_done)
    running.close()
    settings_of(movie, "threshold: 0.4")
    (outcome,) = outcomes(detect_batch(pairs, detector, CAMERA, resume=True))
    assert "had another threshold (0.3, now 0.4)" in outcome.error
