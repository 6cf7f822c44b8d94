"""The widget *Batch* in a real viewer: a folder of movies, good and bad, stopped and resumed."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from napari.layers import Layer
from qtpy.QtWidgets import QFileDialog

from napari_subpixel import formats, models
from napari_subpixel._util.user_folder import CONFIG
from napari_subpixel.camera import Camera
from napari_subpixel.cameras import presets
from napari_subpixel.detection import chunks
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import DetectionJob
from napari_subpixel.runs.pipeline import detect_to_file
from napari_subpixel.simulation.settings import crowded_microtubules
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack
from napari_subpixel.stacks.writing import write_movie
from napari_subpixel.widgets.background.batch import REPLACE, SKIP
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.batch import BatchProcess
from napari_subpixel.widgets.layers.movies import MovieLayer, movie_layer_data
from napari_subpixel.widgets.layers.points import table_of

SHAPE, N_FRAMES = (32, 44), 24
#: Frames of a chunk in these tests, so that a movie has several.
CHUNK_FRAMES = 4
NOBODY = 65534


@pytest.fixture(scope="module")
def frames():
    settings = crowded_microtubules(frame_shape=SHAPE, n_frames=N_FRAMES, emitters_per_frame=30.0)
    return simulate(settings, np.random.default_rng(3))[0]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_PIXELS", CHUNK_FRAMES * SHAPE[0] * SHAPE[1])


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path_factory):
    monkeypatch.setenv(CONFIG, str(tmp_path_factory.mktemp("settings")))


@pytest.fixture
def widget(viewer, qtbot):
    widget = BatchProcess(viewer)
    widget.form.model.value = "paper"  # fast, and asks nothing of the microscope
    widget._rest.setInterval(1)
    viewer.window.add_dock_widget(widget, name="Batch")
    at_rest(qtbot, widget)
    return widget


@pytest.fixture
def folder(tmp_path, frames):
    """Three movies: one good, one that is cut off and one of 0 bytes."""
    good = write(tmp_path / "movies" / "a.tif", frames)
    (tmp_path / "movies" / "b.tif").write_bytes(good.read_bytes()[:20_000])
    (tmp_path / "movies" / "c.tif").write_bytes(b"")
    return tmp_path / "movies"


@pytest.fixture
def two(tmp_path, frames):
    """Two good movies."""
    write(tmp_path / "two" / "a.tif", frames)
    write(tmp_path / "two" / "b.tif", frames[:12])
    return tmp_path / "two"


@pytest.fixture
def long(two, frames):
    """The second of two movies is long enough to be stopped within."""
    write(two / "b.tif", np.tile(frames, (10, 1, 1)))
    return two


def write(path, frames, pixel_size_nm=100):
    path.parent.mkdir(exist_ok=True)
    if pixel_size_nm is None:
        tifffile.imwrite(path, frames, photometric="minisblack", metadata=None)
    else:
        write_movie(path, [frames], shape=frames.shape, pixel_size_nm=pixel_size_nm, overwrite=True)
    return path


def at_rest(qtbot, widget):
    qtbot.waitUntil(lambda: not Work.running and not widget._rest.isActive(), timeout=30_000)


def choose(qtbot, widget, folder, **places):
    """Choose a folder, and wait until its movies are listed."""
    widget.folder.value = folder
    if "pattern" in places:
        widget.pattern.setText(places["pattern"])
    if "output" in places:
        widget.output.value = places["output"]
    if "format" in places:
        widget.format.value = places["format"]
    at_rest(qtbot, widget)


def run(qtbot, widget):
    widget.run()
    at_rest(qtbot, widget)


def stop_within(qtbot, widget, row):
    """Begin a run and stop it when some frames of this movie are done."""
    widget.run()

    def some_frames():
        at = widget._at[0] if widget._at is not None else None
        return at is not None and at.number == row + 1 and at.n_done > 0

    qtbot.waitUntil(some_frames, timeout=30_000)


def cells(widget, column):
    table = widget.table
    at = [table.horizontalHeaderItem(c).text() for c in range(table.columnCount())].index(column)
    return [table.item(row, at).text() for row in range(table.rowCount())]


def words(label):
    return label.text().replace("\u200b", "")


def errors(shown):
    return [message for level, message in shown() if level == "ERROR"]


def expected(movie, output, **options):
    """Detect a movie as the command line does; return its files by their names."""
    output.parent.mkdir(exist_ok=True)
    with open_stack(movie) as stack:
        for _ in detect_to_file(DetectionJob(stack, Detector("paper", **options)), output):
            pass
    return content(output.parent)


def content(folder, *, without=()):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in without}


# -- which movies -------------------------------------------------------------------------------------------------


def test_the_movies_are_listed_as_soon_as_the_folder_is_chosen(widget, folder, frames, qtbot):
    write(folder / "d.ome.tif", frames)
    (folder / "notes.txt").write_text("not a movie")
    choose(qtbot, widget, folder)
    assert cells(widget, "Movie") == ["a.tif", "b.tif", "c.tif", "d.ome.tif"]
    assert cells(widget, "State") == ["waiting"] * 4
    assert widget.run_button.text() == "Detect in 4 movies"
    assert widget.output.line_edit.native.placeholderText() == str(folder / "localizations")
    assert not (folder / "localizations").exists()


def test_names_choose_among_the_movies_and_folders_within(widget, folder, frames, qtbot):
    write(folder / "deep" / "d.tif", frames)
    choose(qtbot, widget, folder, pattern="**/[ad].tif")
    assert cells(widget, "Movie") == ["a.tif", os.path.join("deep", "d.tif")]


def test_a_movie_that_came_later_is_found_by_the_button(widget, folder, frames, qtbot):
    choose(qtbot, widget, folder)
    write(folder / "late.tif", frames)
    widget.find_button.click()
    at_rest(qtbot, widget)
    assert cells(widget, "Movie")[-1] == "late.tif"


NO_MOVIES = [
    ("empty", "*", "no TIFF files and no Zarr named '*' in this folder; it holds nothing"),
    ("gone", "*", "gone: no such folder"),
    ("movies/a.tif", "*", "is not a folder"),
    ("movies", "*.nd2", "no TIFF files and no Zarr named '*.nd2' in this folder; it holds a.tif, b.tif, c.tif"),
    ("movies", "", "no names to search for"),
    ("movies", "/etc/*", "is not a pattern of names"),
]


def test_a_folder_without_movies_is_reported(widget, folder, tmp_path, qtbot, shown):
    (tmp_path / "empty").mkdir()
    for n, (given, pattern, what) in enumerate(NO_MOVIES):
        choose(qtbot, widget, tmp_path / given, pattern=pattern)
        assert what in words(widget.about)
        assert not widget.run_button.isEnabled()
        assert len(errors(shown)) == n  # it may be half a name that is being typed
        widget.find_button.click()
        at_rest(qtbot, widget)
        assert what in errors(shown)[n]


def test_movies_that_would_become_one_table_are_refused(widget, folder, frames, qtbot):
    write(folder / "deep" / "a.tif", frames)
    choose(qtbot, widget, folder, pattern="**/*.tif")
    assert "a.csv: several movies would become this table" in words(widget.about)


def test_without_a_folder_the_widget_says_what_to_do(widget, qtbot):
    assert "Choose a folder of movies" in words(widget.about)
    assert not widget.run_button.isEnabled()
    widget.run()
    assert not Work.running


# -- a run --------------------------------------------------------------------------------------------------------


def test_a_folder_becomes_tables_and_a_summary_and_bad_movies_stop_nothing(widget, folder, tmp_path, qtbot, shown):
    choose(qtbot, widget, folder)
    run(qtbot, widget)
    out = folder / "localizations"
    same = expected(folder / "a.tif", tmp_path / "same" / "a.csv")
    assert content(out, without=["summary.csv"]) == same
    n = len(formats.read(out / "a.csv"))
    assert n > 300
    assert cells(widget, "State") == ["done", "failed", "failed"]
    assert cells(widget, "Frames") == [str(N_FRAMES), "", ""]
    assert cells(widget, "Localizations") == [f"{n:,}", "", ""]
    assert float(cells(widget, "Frames/s")[0].replace(",", "")) > 0
    assert "cut off" in cells(widget, "Remarks")[1]
    assert cells(widget, "Remarks")[2] == "the file is empty (0 bytes)"
    assert "c.tif: the file is empty" in widget.table.item(2, 1).toolTip()
    summary = pd.read_csv(out / "summary.csv", keep_default_na=False)
    assert summary.status.tolist() == ["done", "failed", "failed"]
    assert [Path(movie).name for movie in summary.movie] == ["a.tif", "b.tif", "c.tif"]
    assert int(summary.molecules[0]) == n
    assert words(widget.status).startswith("1 done, 2 failed of 3 movies")
    assert words(widget.status).endswith(f"Summary: {out / 'summary.csv'}")
    assert len(errors(shown)) == 1
    assert errors(shown)[0].startswith("2 of 3 movies failed; the table says why. The first: ")


def test_other_formats_go_to_the_folder_that_is_given(widget, folder, tmp_path, qtbot):
    for name, files in (("hdf5", ["a.hdf5", "a.yaml"]), ("parquet", ["a.parquet"])):
        out = tmp_path / "deep" / name
        choose(qtbot, widget, folder, pattern="a.tif", output=out, format=name)
        run(qtbot, widget)
        assert sorted(content(out)) == sorted([*files, "summary.csv"])


def test_the_threshold_is_that_of_the_tables(widget, folder, tmp_path, qtbot):
    choose(qtbot, widget, folder, pattern="a.tif")
    widget.form.threshold.setValue(0.6)
    run(qtbot, widget)
    same = expected(folder / "a.tif", tmp_path / "same" / "a.csv", threshold=0.6)
    assert content(folder / "localizations", without=["summary.csv"]) == same


def test_the_progress_counts_movies_that_are_worked_on(widget, long, qtbot):
    (long / "0.tif").write_bytes(b"")
    choose(qtbot, widget, long)
    stop_within(qtbot, widget, 2)
    assert widget.progress.bar.maximum() == 2000  # the empty movie is no work
    assert widget.progress.bar.value() > 1000
    assert "movie 3 of 3" in widget.progress.text.text()
    assert cells(widget, "State")[2].startswith("working")
    assert not widget.folder.native.isEnabled()
    assert not widget.pattern.isEnabled()
    widget.cancel()
    at_rest(qtbot, widget)
    assert widget.folder.native.isEnabled()
    assert widget.pattern.isEnabled()
    assert widget.run_button.isEnabled()


def test_a_run_that_was_stopped_is_resumed_where_it_was(widget, long, tmp_path, qtbot):
    choose(qtbot, widget, long)
    stop_within(qtbot, widget, 1)
    widget.progress.cancel.click()
    at_rest(qtbot, widget)
    out = long / "localizations"
    assert cells(widget, "State") == ["done", "stopped"]
    assert "frames are kept: to resume from there, choose 'skip finished movies'" in words(widget.status)
    assert words(widget.status).startswith("Stopped: 1 done of 2 movies")
    assert sorted(path.name for path in out.iterdir()) == ["a-protocol.txt", "a.csv", "b.csv.partial", "summary.csv"]
    assert list((out / "b.csv.partial").glob("frames-*"))
    first = pd.read_csv(out / "summary.csv")
    assert first.status.tolist() == ["done"]

    widget.existing.value = SKIP
    run(qtbot, widget)
    assert cells(widget, "State") == ["skipped", "done"]
    assert not (out / "b.csv.partial").exists()
    expected(long / "a.tif", tmp_path / "same" / "a.csv")
    same = expected(long / "b.tif", tmp_path / "same" / "b.csv")
    assert content(out, without=["summary.csv"]) == same
    both = pd.read_csv(out / "summary.csv")
    assert both.status.tolist() == ["done", "done"]
    assert both.iloc[0].molecules == first.iloc[0].molecules > 0  # the summary keeps the row of a table that was kept
    assert cells(widget, "Localizations")[0] == f"{int(first.molecules[0]):,}"

    (out / "summary.csv").write_text((out / "summary.csv").read_text().replace(f",{N_FRAMES},", ",many,"))
    run(qtbot, widget)
    assert pd.read_csv(out / "summary.csv").status.tolist() == ["skipped", "skipped"]


def test_a_run_stopped_at_once_leaves_no_table(widget, two, qtbot):
    choose(qtbot, widget, two)
    widget.run()
    widget.cancel()
    at_rest(qtbot, widget)
    assert not list(two.glob("localizations/*.csv"))
    assert words(widget.status).startswith("Stopped")


def test_closing_the_dock_during_a_run_keeps_what_is_finished_and_leaves_no_thread(viewer, widget, long, qtbot):
    choose(qtbot, widget, long)
    stop_within(qtbot, widget, 1)
    viewer.window.remove_dock_widget(widget)
    qtbot.waitUntil(lambda: not Work.running, timeout=20_000)
    assert (long / "localizations" / "a.csv").exists()
    assert (long / "localizations" / "summary.csv").exists()
    assert not (long / "localizations" / "b.csv").exists()


def test_closing_the_viewer_during_a_run_leaves_no_thread(viewer, widget, long, qtbot):
    choose(qtbot, widget, long)
    stop_within(qtbot, widget, 1)
    viewer.close()
    qtbot.waitUntil(lambda: not Work.running, timeout=20_000)
    assert not (long / "localizations" / "b.csv").exists()


def test_a_batch_of_bad_movies_only_ends_in_words(widget, folder, qtbot, shown):
    choose(qtbot, widget, folder, pattern="[bc].tif")
    run(qtbot, widget)
    assert words(widget.status).startswith("2 failed of 2 movies")
    assert widget.run_button.isEnabled()


def test_warnings_about_a_result_are_remarks(widget, tmp_path, rng, qtbot):
    write(tmp_path / "noise" / "n.tif", rng.poisson(100, (4, 40, 50)).astype(np.uint16))
    choose(qtbot, widget, tmp_path / "noise")
    widget.form.threshold.setValue(0.02)
    run(qtbot, widget)
    assert cells(widget, "State") == ["done"]
    assert "more than can be resolved" in cells(widget, "Remarks")[0]


def test_the_summary_keeps_the_tables_of_earlier_runs(widget, two, qtbot):
    choose(qtbot, widget, two, pattern="b.tif")
    run(qtbot, widget)
    choose(qtbot, widget, two, pattern="a.tif")
    widget.existing.value = SKIP
    run(qtbot, widget)
    summary = pd.read_csv(two / "localizations" / "summary.csv")
    assert [Path(table).name for table in summary.table] == ["b.csv", "a.csv"]
    assert summary.status.tolist() == ["done", "done"]
    (two / "localizations" / "b.csv").unlink()
    widget.existing.value = REPLACE
    run(qtbot, widget)
    assert [Path(table).name for table in pd.read_csv(two / "localizations" / "summary.csv").table] == ["a.csv"]


# -- nothing is written over --------------------------------------------------------------------------------------


def test_tables_that_are_there_are_refused_skipped_or_replaced(widget, two, tmp_path, qtbot, shown):
    out = two / "localizations"
    out.mkdir()
    (out / "b.csv").write_text("precious")
    choose(qtbot, widget, two)
    assert "Of 2 movies, 1 has a table already" in words(widget.about)
    assert cells(widget, "Remarks") == ["", "has a table already"]
    run(qtbot, widget)
    assert content(out) == {"b.csv": b"precious"}
    refusal = f"{out / 'b.csv'}: exists already; choose 'skip finished movies' to continue, or 'replace them'"
    assert errors(shown) == [refusal]
    assert words(widget.status) == f"Not run: {refusal}"
    assert cells(widget, "State") == ["waiting", "waiting"]
    widget.existing.value = SKIP
    run(qtbot, widget)
    assert cells(widget, "State") == ["done", "skipped"]
    assert (out / "b.csv").read_bytes() == b"precious"
    widget.existing.value = REPLACE
    run(qtbot, widget)
    expected(two / "a.tif", tmp_path / "same" / "a.csv")
    assert content(out, without=["summary.csv"]) == expected(two / "b.tif", tmp_path / "same" / "b.csv")


def test_what_an_interrupted_run_left_is_not_thrown_away_without_leave(widget, two, qtbot, shown):
    left = two / "localizations" / "b.csv.partial"
    left.mkdir(parents=True)
    (left / "job.json").write_text("{}")
    choose(qtbot, widget, two)
    assert "1 was begun by a run that was stopped" in words(widget.about)
    run(qtbot, widget)
    assert errors(shown)[0].startswith(f"{left}: exists already")
    assert left.exists()


def test_a_summary_that_is_none_is_not_written_over(widget, two, qtbot, shown):
    summary = two / "localizations" / "summary.csv"
    summary.parent.mkdir()
    for text in ("my,own\n1,2\n", ""):
        summary.write_text(text)
        choose(qtbot, widget, two)
        for existing in ("refuse to run", SKIP):
            widget.existing.value = existing
            run(qtbot, widget)
            assert "summary.csv: " in errors(shown)[-1]
            assert content(summary.parent) == {"summary.csv": text.encode()}


def test_a_movie_may_not_take_the_name_of_the_summary(widget, two, qtbot, shown):
    (two / "b.tif").rename(two / "summary.tif")
    choose(qtbot, widget, two)
    run(qtbot, widget)
    assert "summary.csv: is the name of the summary" in errors(shown)[0]


def test_a_camera_file_that_a_table_would_replace_stays(widget, two, qtbot, shown):
    Camera(pixel_size_nm=120).to_yaml(two / "a.yaml")
    before = (two / "a.yaml").read_bytes()
    choose(qtbot, widget, two, output=two, format="hdf5")
    widget.camera.open_file(two / "a.yaml")
    widget.existing.value = REPLACE
    run(qtbot, widget)
    assert errors(shown) == [f"{two / 'a.yaml'}: is an input and would be replaced by an output"]
    assert (two / "a.yaml").read_bytes() == before


def test_an_output_folder_that_is_a_file_is_refused(widget, two, tmp_path, qtbot, shown):
    (tmp_path / "file").write_text("precious")
    for output, what in ((tmp_path / "file", "File exists"), (tmp_path / "file" / "out", "Not a directory")):
        choose(qtbot, widget, two, output=output)
        run(qtbot, widget)
        assert errors(shown)[-1] == f"{output}: cannot make this folder: {what}"
    assert (tmp_path / "file").read_text() == "precious"


def test_an_output_folder_that_cannot_be_written_to_is_refused(widget, two, qtbot, shown):
    with tempfile.TemporaryDirectory() as name:
        choose(qtbot, widget, two, output=Path(name))
        with locked(Path(name)):
            run(qtbot, widget)
    assert "cannot be written to" in errors(shown)[-1]
    assert len(errors(shown)) == 1


@contextmanager
def locked(folder):
    """Make a folder read-only; root, whom no mode stops, becomes the user nobody meanwhile."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)
        folder.chmod(0o755)


# -- the camera, and the words of the core --------------------------------------------------------------------------


def test_a_pixel_size_that_nothing_gives_is_asked_for_by_the_forms_control(widget, frames, tmp_path, qtbot, shown):
    write(tmp_path / "bare" / "m.tif", frames, pixel_size_nm=None)
    choose(qtbot, widget, tmp_path / "bare")
    run(qtbot, widget)
    remark = cells(widget, "Remarks")[0]
    assert "does not say its pixel size" in remark
    assert "--" not in remark
    assert "--" not in (tmp_path / "bare" / "localizations" / "summary.csv").read_text()
    widget.camera.pixel_size.setValue(160)
    widget.existing.value = REPLACE
    run(qtbot, widget)
    assert formats.read(tmp_path / "bare" / "localizations" / "m.csv").pixel_size_nm == 160


def test_an_interrupted_run_with_other_settings_brings_the_forms_advice(widget, long, qtbot):
    choose(qtbot, widget, long, pattern="b.tif")
    stop_within(qtbot, widget, 0)
    widget.cancel()
    at_rest(qtbot, widget)
    widget.form.threshold.setValue(0.3)
    widget.existing.value = SKIP
    run(qtbot, widget)
    assert cells(widget, "State") == ["failed"]
    remark = cells(widget, "Remarks")[0]
    assert "had another threshold (0.1, now 0.3); delete it, or choose 'replace them', to start again" in remark
    assert "--" not in remark


def test_one_camera_serves_all_movies(viewer, widget, two, tmp_path, frames, qtbot):
    layer = viewer.add_layer(Layer.create(*movie_layer_data(open_stack(frames, name="open"), Camera(pixel_size_nm=90))))
    own = replace(Camera(baseline=100, electrons_per_adu=0.5, pixel_size_nm=70), name="my camera")
    presets.save_preset(own)
    Camera(pixel_size_nm=80, baseline=7).to_yaml(tmp_path / "camera.yaml")
    widget.camera.refresh()
    camera = widget.camera
    assert camera.camera.pixel_size_nm is None
    assert camera.choice.choices[:2] == ("as the files say", layer)
    assert camera.choice.choices[-2:] == ("my camera", "from file ...")
    camera.choice.value = "my camera"
    assert (camera.camera.pixel_size_nm, camera.camera.baseline) == (70, 100)
    assert camera.pixel_size.text() == "70, the camera's"
    camera.choice.value = layer
    assert camera.camera.pixel_size_nm == 90
    MovieLayer(layer).set_camera(Camera(pixel_size_nm=95), viewer.layers)
    assert camera.camera.pixel_size_nm == 95
    camera.open_file(tmp_path / "camera.yaml")
    assert (camera.camera.pixel_size_nm, camera.camera.baseline) == (80, 7)
    camera.pixel_size.setValue(160)
    assert (camera.camera.pixel_size_nm, camera.camera.baseline) == (160, 7)
    choose(qtbot, widget, two, pattern="a.tif")
    run(qtbot, widget)
    about = formats.read(two / "localizations" / "a.csv")
    assert about.pixel_size_nm == 160
    assert about.provenance["camera"]["baseline"] == 7
    viewer.layers.remove(layer)
    assert layer not in camera.choice.choices


def test_a_camera_file_is_chosen_in_a_dialog_and_a_bad_one_refused(widget, tmp_path, monkeypatch, shown):
    Camera(pixel_size_nm=80).to_yaml(tmp_path / "good.yaml")
    (tmp_path / "bad.yaml").write_text("camera: 7")
    chosen = [str(tmp_path / "good.yaml"), str(tmp_path / "bad.yaml"), ""]
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (chosen.pop(0), ""))
    for _ in range(3):
        widget.camera.choice.value = "from file ..."
        assert widget.camera.file == tmp_path / "good.yaml"
        assert widget.camera.camera.pixel_size_nm == 80
    assert "bad.yaml" in errors(shown)[0]


def test_a_camera_whose_maps_do_not_fit_fails_the_movie_in_words(widget, two, tmp_path, qtbot):
    Camera(pixel_size_nm=80, baseline=np.full((5, 6), 100.0)).to_yaml(tmp_path / "maps.yaml")
    widget.camera.open_file(tmp_path / "maps.yaml")
    choose(qtbot, widget, two)
    run(qtbot, widget)
    assert cells(widget, "State") == ["failed", "failed"]
    assert "(5, 6)" in cells(widget, "Remarks")[0]


def test_settings_of_a_sidecar_override_the_forms_and_are_shown(viewer, widget, two, qtbot):
    (two / "a.subpixel.yaml").write_text("camera: {pixel_size_nm: 80}\nframes: [0, 8]\n")
    (two / "b.subpixel.yaml").write_text("treshold: 0.3\n")
    choose(qtbot, widget, two)
    assert cells(widget, "Remarks") == ["settings of its own: a.subpixel.yaml", "settings of its own: b.subpixel.yaml"]
    widget.camera.pixel_size.setValue(90)
    run(qtbot, widget)
    assert cells(widget, "State") == ["done", "failed"]
    assert cells(widget, "Frames") == ["8", ""]
    pixel_size = "a.tif: the given pixel size is 80 nm, that of the movie's metadata 100 nm"
    assert cells(widget, "Remarks")[0] == f"camera, frames from a.subpixel.yaml; {pixel_size}"
    assert "b.subpixel.yaml: settings: unknown field 'treshold'" in cells(widget, "Remarks")[1]
    assert formats.read(two / "localizations" / "a.csv").pixel_size_nm == 80
    widget.open_row(0)
    at_rest(qtbot, widget)
    assert [tuple(layer.scale) for layer in viewer.layers] == [(1, 80, 80)] * 2


def test_a_folder_of_single_frames_is_one_movie(widget, tmp_path, frames, qtbot):
    for n in range(3):
        write(tmp_path / "single" / f"img_{n}.tif", frames[n : n + 1])
    choose(qtbot, widget, tmp_path / "single", output=tmp_path / "out")
    assert cells(widget, "Movie") == ["single"]
    widget.camera.pixel_size.setValue(100)
    run(qtbot, widget)
    assert cells(widget, "Frames") == ["3"]
    assert (tmp_path / "out" / "single.csv").exists()


def test_a_model_is_chosen_from_a_file_and_what_is_none_refused(widget, two, tmp_path, monkeypatch, qtbot, shown):
    shipped = models.find("paper")
    for path in (shipped, shipped.with_suffix(models.CARD_SUFFIX)):
        (tmp_path / f"mine{path.suffix}").write_bytes(path.read_bytes())
    (tmp_path / "bad.safetensors").write_bytes(b"no model")
    chosen = [str(tmp_path / "mine.safetensors"), str(tmp_path / "bad.safetensors"), ""]
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (chosen.pop(0), ""))
    for _ in range(3):
        widget.form.model.value = "from file ..."
        assert widget.form.model.value == str(tmp_path / "mine.safetensors")
    assert "bad" in errors(shown)[0]
    choose(qtbot, widget, two, pattern="a.tif")
    run(qtbot, widget)
    assert cells(widget, "State") == ["done"]
    (tmp_path / "mine.safetensors").unlink()
    widget.run()
    assert "mine.safetensors: no such model" in errors(shown)[-1]
    assert not Work.running


# -- what came out ------------------------------------------------------------------------------------------------


def test_a_double_click_opens_the_movie_with_its_localizations_on_it(viewer, widget, two, qtbot):
    for name in formats.FORMATS:
        choose(qtbot, widget, two, output=two / name, format=name)
        run(qtbot, widget)
        viewer.layers.clear()
        widget.table.cellDoubleClicked.emit(0, 1)
        at_rest(qtbot, widget)
        movie, points = viewer.layers
        assert (movie.name, points.name) == ("a.tif", "a.tif localizations")
        assert tuple(movie.scale) == (1, 100, 100)
        found, there = table_of(points), formats.read(widget._scan.pairs[0][1])
        assert len(found) == len(there) > 300
        np.testing.assert_allclose(found.yx, there.yx, atol=1e-9)
        for row in (0, 50, 300):
            seen = movie.world_to_data(points.data_to_world(points.data[row]))
            assert seen == pytest.approx((there.frame[row], there.y[row], there.x[row]), abs=0.01)


def test_a_double_click_on_a_movie_without_a_table_opens_the_movie(viewer, widget, folder, qtbot, shown):
    choose(qtbot, widget, folder)
    widget.open_row(0)
    at_rest(qtbot, widget)
    assert [layer.name for layer in viewer.layers] == ["a.tif"]
    widget.open_row(2)
    at_rest(qtbot, widget)
    assert "c.tif: the file is empty" in errors(shown)[0]


# -- in the viewer ------------------------------------------------------------------------------------------------


def test_the_widget_opens_from_naparis_menu_and_knows_its_viewer(viewer, two, qtbot):
    _, widget = viewer.window.add_plugin_dock_widget("napari-subpixel", "Batch")
    at_rest(qtbot, widget)
    choose(qtbot, widget, two)
    widget.open_row(0)
    at_rest(qtbot, widget)
    assert viewer.layers[0] in widget.camera.choice.choices


def test_long_names_do_not_widen_the_dock(viewer, widget, tmp_path, frames, qtbot):
    long = tmp_path / ("a_long_name" * 15)
    write(long / ("m" * 100 + ".tif"), frames)
    viewer.add_image(np.zeros((3, 20, 30)), name="layer" * 30)
    for choice in widget.camera.choice.choices[:-1]:
        widget.camera.choice.value = choice
        widget.camera.choice.value = "as the files say"
    choose(qtbot, widget, long)
    run(qtbot, widget)
    assert cells(widget, "State") == ["done"]
    assert widget.minimumSizeHint().width() <= 380
    choose(qtbot, widget, long / "gone")
    assert "no such folder" in words(widget.about)
    assert widget.minimumSizeHint().width() <= 380
