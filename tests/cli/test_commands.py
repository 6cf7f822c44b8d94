"""Every command does what the contract says, on real files."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
import tifffile

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.cameras.presets import save_preset
from napari_subpixel.cli.main import COMMANDS, build_parser
from napari_subpixel.models import read_card
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.stacks import open_stack
from napari_subpixel.stacks.writing import write_movie
from napari_subpixel.training.settings import TrainingSettings


def test_detect_writes_the_format_that_the_suffix_names(run, movie, tmp_path):
    for name in ("a.csv", "a.hdf5", "a.parquet"):
        assert run("detect", movie, "-o", tmp_path / name).status == 0
    tables = [formats.read(tmp_path / name) for name in ("a.csv", "a.hdf5", "a.parquet")]
    assert len(tables[0]) > 100
    for table in tables:
        assert table.pixel_size_nm == 100
        np.testing.assert_allclose(table.yx, tables[2].yx, atol=1e-5)


def test_detect_writes_a_table_per_movie_into_a_folder(run, movie, tmp_path):
    other = tmp_path / "other.ome.tif"
    other.write_bytes(movie.read_bytes())
    assert run("detect", movie, other, "-o", f"{tmp_path}/out/", "--format", "parquet").status == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["movie.parquet", "other.parquet", "summary.csv"]


def test_a_single_movie_goes_into_a_folder_that_ends_in_a_slash(run, movie, tmp_path):
    assert run("detect", movie, "-o", f"{tmp_path}/new/").status == 0
    assert (tmp_path / "new" / "movie.csv").exists()


def test_one_bad_movie_does_not_stop_the_others(run, movie, tmp_path):
    bad = tmp_path / "bad.tif"
    bad.write_text("not a movie")
    status, _, err = run("detect", bad, movie, tmp_path / "gone.tif", "-o", tmp_path / "out/")
    assert status == 1
    assert "1 of 3 movies done, 2 failed" in err
    assert sorted(p.name for p in (tmp_path / "out").glob("*.csv*")) == ["movie.csv", "summary.csv"]


def test_movies_of_the_same_name_do_not_overwrite_each_other(refuse, movie, tmp_path):
    (tmp_path / "b").mkdir()
    twin = tmp_path / "b" / "movie.tif"
    twin.write_bytes(movie.read_bytes())
    assert "several movies would become this table" in refuse("detect", movie, twin, "-o", tmp_path / "out/")


def test_frames_and_roi_keep_the_coordinates_of_the_full_frame(run, movie, tmp_path):
    run("detect", movie, "-o", tmp_path / "all.parquet")
    run("detect", movie, "-o", tmp_path / "part.parquet", "--frames", "3:9", "--roi", "10:30,5:40")
    whole, part = (formats.read(tmp_path / name) for name in ("all.parquet", "part.parquet"))
    rows, columns = np.rint(whole.y), np.rint(whole.x)
    keep = (whole.frame >= 3) & (whole.frame < 9) & (rows >= 10) & (rows < 30) & (columns >= 5) & (columns < 40)
    np.testing.assert_allclose(part.yx, whole.select(keep).yx, atol=1e-3)


def test_open_ends_of_frames_are_the_movies(run, movie, tmp_path):
    run("detect", movie, "-o", tmp_path / "a.parquet", "--frames", "10:")
    assert set(formats.read(tmp_path / "a.parquet").frame) == {10, 11}


def test_the_threshold_of_the_command_counts(run, movie, tmp_path):
    run("detect", movie, "-o", tmp_path / "a.parquet", "--threshold", "0.4")
    assert formats.read(tmp_path / "a.parquet")["probability"].min() >= 0.4 - 1e-6


def test_the_pixel_size_comes_from_flags_then_camera_then_movie(run, movie, tmp_path):
    camera = tmp_path / "camera.yaml"
    camera.write_text("camera:\n  pixel_size_nm: 110\n  baseline: 90\n")
    for name, flags in {
        "a": (),
        "b": ("--camera", camera),
        "c": ("--camera", camera, "--pixel-size-nm", 120),
    }.items():
        assert run("detect", movie, "-o", tmp_path / f"{name}.parquet", *flags).status == 0
    tables = [formats.read(tmp_path / f"{name}.parquet") for name in "abc"]
    assert [t.pixel_size_nm for t in tables] == [100, 110, 120]
    camera = tables[1].provenance["camera"]
    assert (camera["pixel_size_nm"], camera["baseline"]) == (110.0, 90.0)


def test_a_camera_may_be_named_and_a_file_of_that_name_goes_first(run, movie, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SUBPIXEL_CONFIG", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    run("detect", movie, "-o", tmp_path / "a.parquet", "--camera", "hamamatsu orca-fusion bt", "--baseline", 99)
    camera = formats.read(tmp_path / "a.parquet").provenance["camera"]
    assert (camera["name"], camera["electrons_per_adu"], camera["baseline"]) == ("Hamamatsu ORCA-Fusion BT", 0.24, 99)
    save_preset(Camera(name="mine", baseline=7))
    run("detect", movie, "-o", tmp_path / "b.parquet", "--camera", "mine")
    (tmp_path / "mine").write_text("camera: {baseline: 8}")
    run("detect", movie, "-o", tmp_path / "c.parquet", "--camera", "mine")
    tables = [formats.read(tmp_path / f"{name}.parquet") for name in "bc"]
    assert [t.provenance["camera"]["baseline"] for t in tables] == [7, 8]


def test_a_movie_is_simulated_with_a_named_camera(run, tmp_path):
    flags = ("--frames", 2, "--shape-px", "24,33", "--camera", "Andor iXon Ultra 897", "--pixel-size-nm", 100)
    assert run("simulate", "-o", tmp_path / "m.tif", "--truth", tmp_path / "t.csv", *flags).status == 0


def test_an_output_that_exists_needs_overwrite_or_resume(run, refuse, movie, tmp_path):
    out = tmp_path / "a.csv"
    assert run("detect", movie, "-o", out).status == 0
    before = out.read_bytes()
    assert "exists already" in refuse("detect", movie, "-o", out)
    assert "done already" in run("detect", movie, "-o", out, "--resume").err
    assert run("detect", movie, "-o", out, "--overwrite").status == 0
    assert out.read_bytes() == before


def test_resume_with_nothing_to_resume_just_starts(run, movie, tmp_path):
    assert run("detect", movie, "-o", tmp_path / "a.csv", "--resume").status == 0


def test_ctrl_c_before_anything_is_finished_says_that_and_leaves_nothing(run, movie, tmp_path, monkeypatch):
    from napari_subpixel.detection.detector import Detector

    def interrupt(*_arguments, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(Detector, "detect", interrupt)
    assert run("detect", movie, "-o", tmp_path / "a.csv")[::2] == (
        130,
        "napari-subpixel: interrupted; no frames were finished yet, so none are kept\n",
    )
    assert not (tmp_path / "a.csv.partial").exists()


def test_ctrl_c_keeps_what_was_finished_and_says_so(run, movie, tmp_path, monkeypatch):
    from napari_subpixel.detection import chunks
    from napari_subpixel.runs import checkpoints

    monkeypatch.setattr(chunks, "CHUNK_PIXELS", 4 * 40 * 52)
    keep, kept = checkpoints.PartialResults.keep, []

    def keep_two_then_interrupt(results, chunk):
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(chunk)
        keep(results, chunk)

    monkeypatch.setattr(checkpoints.PartialResults, "keep", keep_two_then_interrupt)
    status, _, err = run("detect", movie, "-o", tmp_path / "a.csv")
    assert status == 130
    kept = tmp_path / "a.csv.partial"
    assert f"interrupted; frames 0 to 8 of 12 of movie.tif are kept in {kept}; --resume continues the run" in err
    assert not (tmp_path / "a.csv").exists()
    monkeypatch.setattr(checkpoints.PartialResults, "keep", keep)
    assert run("detect", movie, "-o", tmp_path / "a.csv", "--resume").status == 0
    assert set(formats.read(tmp_path / "a.csv").frame) == set(range(12))


def test_render_lies_over_the_frames(run, truth, tmp_path):
    image = tmp_path / "image.tif"
    assert run("render", truth, "-o", image, "--pixel-size-nm", 20, "--preview", tmp_path / "look.png").status == 0
    with tifffile.TiffFile(image) as tif:
        assert tif.asarray().shape == (200, 260)
        assert 'PhysicalSizeX="20' in tif.ome_metadata
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG")


def test_render_takes_shape_and_pixel_size_where_the_table_says_neither(run, tmp_path):
    bare = tmp_path / "bare.csv"
    bare.write_text('"frame","x [nm]","y [nm]"\n1,950,250\n')
    arguments = ("--shape-px", "5,12", "--camera-pixel-size-nm", 100, "--method", "histogram", "--pixel-size-nm", 50)
    assert run("render", bare, "-o", tmp_path / "i.tif", *arguments).status == 0
    image = tifffile.imread(tmp_path / "i.tif")
    assert image.shape == (10, 24)
    assert np.argwhere(image).tolist() == [[5, 19]]


def test_evaluate_prints_json_and_nothing_else(run, movie, truth, tmp_path):
    run("detect", movie, "-o", tmp_path / "a.csv")
    status, out, _ = run("evaluate", tmp_path / "a.csv", truth, "--json", "--tolerance-nm", 25, "--tolerance-nm", 100)
    scores = json.loads(out)["scores"]
    assert status == 0
    assert [s["tolerance_nm"] for s in scores] == [25, 100]
    assert 0.3 < scores[1]["jaccard"] < 1


def test_evaluate_prints_a_table_for_people(run, truth):
    out = run("evaluate", truth, truth, "--border-nm", 450).out.splitlines()
    assert out[0].startswith("tolerance [nm]  Jaccard")
    assert [line.split()[:2] for line in out[1:3]] == [["25", "1.000"], ["50", "1.000"]]
    assert out[3:] == ["within 50 nm: photons / true 1.00 (spread 0.00)"]


def test_evaluate_scores_what_was_detected_and_says_so(run, tmp_path):
    from napari_subpixel import Localizations, write_localizations

    n = np.arange(20)
    about = {"pixel_size_nm": 100.0, "frame_shape": (40, 60), "n_frames": 20}
    truth = Localizations({"frame": n, "y": n + 1.0, "x": n + 2.0, "photons": n + 100.0}, **about)
    notes = {"frames": [2, 12], "roi": [[0, 9], [0, 30]]}
    part = truth.select((n >= 2) & (n < 8)).with_columns(photons=n[2:8] + 50.0).with_about(provenance=notes)
    for name, table in (("found", part), ("truth", truth)):
        write_localizations(tmp_path / f"{name}.parquet", table)
    both = tmp_path / "found.parquet", tmp_path / "truth.parquet"
    out, err = (done := run("evaluate", *both, "--pairing", "greedy", "--json")).out, done.err
    assert "note: frames 2 to 11 are scored, which were detected (--frames)" in err
    assert "note: the region y 0 to 8, x 0 to 29 px is scored, which was detected (--roi)" in err
    result = json.loads(out)
    assert (result["pairing"], result["scores"][0]["jaccard"]) == ("greedy", 1.0)
    assert "photons / true 0.5" in run("evaluate", *both).out
    done = run("evaluate", *both, "--roi", "0:40,0:60", "--frames", "0:20", "--json")
    assert json.loads(done.out)["scores"][0]["false_negatives"] == 14
    assert "note" not in done.err
    assert done.err.count("warning: only") == 2


def test_evaluate_needs_no_pixel_size_where_both_files_are_in_nm(run, tmp_path):
    for name, x in {"found.csv": 130, "truth.csv": 100}.items():
        (tmp_path / name).write_text(f'"frame","x [nm]","y [nm]"\n1,{x},40\n')
    scores = json.loads(run("evaluate", tmp_path / "found.csv", tmp_path / "truth.csv", "--json").out)["scores"]
    assert [s["jaccard"] for s in scores] == [0, 1]
    assert scores[1]["rmse_nm"] == pytest.approx(30)


def test_evaluate_warns_of_a_constant_offset_and_removes_it_when_asked(run, simulated, truth, tmp_path):
    table = simulated[1]
    formats.write(tmp_path / "shifted.csv", table.with_columns(y=table.y + 0.5, x=table.x + 0.5))
    assert "same corner or centre" in run("evaluate", tmp_path / "shifted.csv", truth).err
    out = run("evaluate", tmp_path / "shifted.csv", truth, "--remove-offset", "--json").out
    result = json.loads(out)
    assert result["offset_removed_nm"] == pytest.approx([50, 50], abs=0.5)
    assert result["scores"][0]["jaccard"] > 0.99


def test_a_table_without_rows_is_a_valid_result(run, truth, tmp_path):
    (tmp_path / "none.csv").write_text('"frame","x [nm]","y [nm]"\n')
    scores = json.loads(run("evaluate", tmp_path / "none.csv", truth, "--json").out)["scores"]
    assert scores[0]["jaccard"] == 0


def test_simulate_is_reproducible_and_its_truth_is_read_back(run, tmp_path):
    flags = ("--frames", 7, "--shape-px", "24,33", "--structure", "rings", "--emitters-per-frame", 4, "--seed", 5,
             "--psf-sigma-nm", 130, "--pixel-size-nm", 110)  # fmt: skip
    for name in ("a", "b"):
        assert run("simulate", "-o", tmp_path / f"{name}.tif", "--truth", tmp_path / f"{name}.csv", *flags).status == 0
    with open_stack(tmp_path / "a.tif") as stack, open_stack(tmp_path / "b.tif") as again:
        assert stack.shape == (7, 24, 33)
        assert stack.pixel_size_nm == 110
        assert (stack[:] == again[:]).all()
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    truth = formats.read(tmp_path / "a.csv")
    assert truth.pixel_size_nm == 110
    assert truth["sigma"] == pytest.approx(130 / 110, abs=1e-4)


def test_train_from_a_movie_with_truth_makes_a_model_that_detects(run, movie, truth, tmp_path):
    model = tmp_path / "mine.safetensors"
    flags = (
        "--movie",
        movie,
        "--truth",
        truth,
        "--iterations",
        3,
        "--batch-size",
        2,
        "--crops-per-frame",
        2,
        "--augment",
    )
    assert run("train", "-o", model, *flags).status == 0
    assert (tmp_path / "mine.yaml").exists()
    assert (tmp_path / "mine.training" / "log.csv").exists()
    assert run("detect", movie, "-o", tmp_path / "a.csv", "--model", model, "--threshold", 0.01).status == 0


def test_train_from_simulation_says_so_in_the_card_and_resumes(run, refuse, tmp_path):
    model = tmp_path / "mine.safetensors"
    flags = ("--iterations", 4, "--batch-size", 2, "--emitters-per-frame", 60, "--psf-sigma-nm", 120, "--crop-px", 16)
    assert run("train", "-o", model, *flags).status == 0
    assert "exists already" in refuse("train", "-o", model, *flags)
    assert run("train", "-o", model, *flags, "--iterations", 6, "--resume").status == 0
    card = model.with_suffix(".yaml").read_text()
    assert re.search(r"iterations: 6\b", card)
    assert re.search(r"data: simulation\b", card)
    assert re.search(r"sigma_nm: 120", card)


def test_models_lists_the_cards(run):
    assert run("models").out.splitlines()[1].startswith("default ")
    assert {card["name"]: card["threshold"] for card in json.loads(run("models", "--json").out)}["paper"] == 0.1


def test_demo_ends_with_table_image_and_score(run, tmp_path, monkeypatch):
    from napari_subpixel.cli import demo

    monkeypatch.setitem(demo.DEMO, "n_frames", 20)
    status, out, _ = run("demo", "-o", tmp_path / "demo")
    assert status == 0
    jaccard = float(out.splitlines()[3].split()[1])
    assert 0.2 < jaccard < 1
    expected = [demo.MARK, *demo.FILES, *demo_side_files()]
    assert sorted(p.name for p in (tmp_path / "demo").iterdir()) == sorted(expected)


def demo_side_files() -> tuple[str, ...]:
    return "truth-protocol.txt", "localizations-protocol.txt"


def test_the_program_runs_as_a_module_and_says_its_version():
    done = subprocess.run(
        [sys.executable, "-m", "napari_subpixel", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"napari-subpixel \d+\.\d+\.\d+", done.stdout.strip())


def test_movies_are_streamed_into_the_file(tmp_path):
    frames = np.arange(6 * 4 * 5, dtype=np.uint16).reshape(6, 4, 5)
    write_movie(tmp_path / "m.tif", iter([frames[:4], frames[4:]]), shape=frames.shape, pixel_size_nm=65)
    with open_stack(tmp_path / "m.tif") as stack:
        assert (stack[:] == frames).all()
        assert stack.pixel_size_nm == 65


def test_train_simulates_a_camera_with_maps(run, tmp_path):
    camera = Camera(pixel_size_nm=100, baseline=np.full((30, 34), 100.0), electrons_per_adu=np.full((30, 34), 0.5))
    camera.to_yaml(tmp_path / "camera.yaml")
    flags = ("--camera", tmp_path / "camera.yaml", "--iterations", 1, "--batch-size", 2, "--crop-px", 16)
    assert run("train", "-o", tmp_path / "mine.safetensors", *flags).status == 0
    assert read_card(tmp_path / "mine.safetensors").camera["electrons_per_adu"] == 0.5


def test_train_takes_a_structure(run, tmp_path):
    flags = ("--structure", "rings", "--iterations", 1, "--batch-size", 2, "--crop-px", 16)
    assert run("train", "-o", tmp_path / "mine.safetensors", *flags).status == 0


def test_detect_warns_of_more_points_than_molecules_can_be_told_apart(run, tmp_path):
    noise = np.random.default_rng(0).poisson(100, (4, 40, 52)).astype(np.uint16)
    write_movie(tmp_path / "noise.tif", [noise], shape=noise.shape, pixel_size_nm=100)
    err = run("detect", tmp_path / "noise.tif", "-o", tmp_path / "a.csv", "--model", "paper", "--threshold", "0.01").err
    assert re.search(r"warning: noise.tif: too many points: \d+ per frame, 0.\d+ per pixel", err)


def command_parser(parser: argparse.ArgumentParser, command: str) -> argparse.ArgumentParser:
    (action,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return action.choices[command]


@pytest.mark.parametrize(
    ("command", "record", "names"),
    [
        ("simulate", Simulation(), ["structure", "molecules", "photons", "background"]),
        ("simulate", Simulation().camera, ["pixel_size_nm", "baseline", "electrons_per_adu", "read_noise_e"]),
        ("train", Simulation(structure="uniform"), ["structure", "emitters_per_frame"]),
        ("train", TrainingSettings(), ["batch_size", "learning_rate", "kernel_px", "sparsity", "seed"]),
    ],
)
def test_the_help_of_a_flag_is_that_of_the_record_with_its_default(command, record, names):
    shown = {action.dest: action.help for action in command_parser(build_parser(), command)._actions}
    texts = {field.name: field.metadata["help"] for field in fields(record) if "help" in field.metadata}
    for name in names:
        value = getattr(record, name)
        assert shown[name] == f"{texts[name]} ({value if isinstance(value, str) else format(value, 'g')})"


def test_every_command_is_parsed_by_itself_as_among_all():
    every = build_parser()
    for name in COMMANDS:
        usages = [command_parser(parser, name).format_help() for parser in (build_parser([name]), every)]
        assert usages[0] == usages[1]


def test_simulate_writes_the_drift_that_the_movie_has(run, tmp_path):
    names = ("movie.tif", "truth.csv", "trace.csv")
    movie, truth, trace = (tmp_path / name for name in names)
    flags = ("--drift-nm", 200, "--fiducials", 2, "--frames", 20, "--shape-px", "32,48", "--seed", 3)
    done = run("simulate", "-o", movie, "--truth", truth, "--trace", trace, *flags, "--json")
    assert done.status == 0
    table = formats.read(truth)
    n_beads = int(table["fiducial"].sum())
    assert f"truth.csv: {len(table) - n_beads:,} molecules and {n_beads} rows of beads" in done.err
    counts = json.loads(done.out)
    assert (counts["n_molecules"], counts["n_bead_localizations"]) == (len(table) - n_beads, n_beads)
    beads = table[table["fiducial"] == 1]
    drift = np.loadtxt(trace, delimiter=",", skiprows=1)
    assert drift[:, 0].tolist() == list(range(20))
    first = beads.yx[beads.frame == 0]
    for frame in range(20):
        moved = (beads.yx[beads.frame == frame] - first) * table.pixel_size_nm
        np.testing.assert_allclose(moved, np.tile(drift[frame, [2, 1]], (2, 1)), atol=0.02)


def test_render_colours_points_by_a_column(run, refuse, truth, tmp_path):
    files = ("-o", tmp_path / "a.tif", "--preview", tmp_path / "a.png", "--json")
    status, out, err = run("render", truth, *files, "--color-by", "frame", "--color-range", "0:11")
    assert status == 0
    assert json.loads(out)["color_range"] == [0, 11]
    assert "in colours by frame from 0 to 11" in err
    assert (tmp_path / "a.png").stat().st_size > 500
    again = (*files, "--overwrite")
    assert "unknown column 'phtons'; did you mean 'photons'" in refuse("render", truth, *again, "--color-by", "phtons")
    assert "colormap must be one of" in refuse("render", truth, *again, "--colormap", "jet")
    assert "--preview" in refuse("render", truth, "-o", tmp_path / "b.tif", "--color-by", "frame")
    assert "a range is A:B" in refuse("render", truth, *again, "--color-by", "frame", "--color-range", "5")
    assert not (tmp_path / "b.tif").exists()


def test_simulating_what_no_microscope_records_is_refused_or_a_warning(run, refuse, tmp_path):
    outputs = ("-o", tmp_path / "m.tif", "--truth", tmp_path / "t.csv", "--frames", 2, "--shape-px", "24,33")
    assert "did you mean 130?" in refuse("simulate", *outputs, "--psf-sigma-nm", 0.13)
    assert (
        "the movie is clipped: 100% of its pixels are at 65535 ADU"
        in run("simulate", *outputs, "--background", 5e6).err
    )


def test_a_single_movie_is_opened_once(run, movie, tmp_path, monkeypatch):
    def again(*_: object, **__: object) -> None:
        raise AssertionError("the movie is opened a second time")

    monkeypatch.setattr("napari_subpixel.runs.batch.open_stack", again)
    assert run("detect", movie, "-o", tmp_path / "f.csv", "--model", "fast").status == 0
