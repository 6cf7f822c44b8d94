"""A shipped model is fine-tuned for one microscope: on simulations, like a movie, or on a movie with truth."""

from __future__ import annotations

import csv
import json
import os
import re
import sys

import numpy as np
import pytest
import torch
import yaml

from napari_subpixel import formats
from napari_subpixel._util.user_folder import user_folder
from napari_subpixel.cli.event_lines import EventLines
from napari_subpixel.localizations import Localizations
from napari_subpixel.models import load_model, read_card, save_model
from napari_subpixel.models.domain import Domain
from napari_subpixel.models.unet import UNet
from napari_subpixel.stacks import open_stack
from napari_subpixel.stacks.writing import write_movie
from napari_subpixel.training.train_model import BaseScore

SHORT = ("--iterations", 2, "--batch-size", 2, "--crop-px", 16)
RANGES = ("--photons-range", "500:1500", "--background-range", "5:20", "--density-um2", "0.5:2")


@pytest.fixture(autouse=True)
def small_measurements(monkeypatch):
    from napari_subpixel.training import held_out

    monkeypatch.setattr(held_out, "HELD_OUT_MOVIES", 2)


@pytest.fixture
def base(tmp_path):
    """A small model of many microscopes that has learned nothing yet, but marks pixels here and there."""
    path = tmp_path / "base" / "base.safetensors"
    path.parent.mkdir()
    torch.manual_seed(1)
    network = UNet(width=8, blocks=(1, 1, 1))
    with torch.no_grad():
        network.head.weight.mul_(30)
    save_model(path, network, name="base", summary="s", input_scaling="counts", threshold=0.3,
               domain=Domain().to_dict())  # fmt: skip
    return path


@pytest.fixture
def camera(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text("camera: {pixel_size_nm: 100, baseline: 100, electrons_per_adu: 0.5}\npsf: {sigma_nm: 120}\n")
    return path


def test_a_model_of_ones_own_is_trained_listed_and_used(base, run, camera, movie, tmp_path):
    status, out, err = run("train", "-o", "ours", "--from", base, *SHORT, "--camera", camera, *RANGES)
    assert (status, out) == (0, "")
    assert "held-out Jaccard at 50 nm of base, as it is: 0." in err
    card = read_card(user_folder("models") / "ours.safetensors")
    assert card.training["from"]["name"] == "base"
    assert card.domain["density_per_px"] == [0.005, 0.02]
    assert card.domain["sigma_px"][0] < 1.2 < card.domain["sigma_px"][1]
    assert card.psf == {"sigma_nm": 120.0}
    assert card.camera["baseline"] == 100
    assert 0 <= card.figures["jaccard_50_nm_held_out"] <= 1
    assert not np.array_equal(*(load_model(name).network.head.weight.detach() for name in ("ours", base)))
    assert "base, fine-tuned on simulation of one microscope" in run("models").out
    assert run("detect", movie, "-o", tmp_path / "a.csv", "--model", "ours", "--camera", camera).status == 0


def test_the_folder_of_the_run_holds_a_log_curves_and_samples(base, run, camera, tmp_path):
    assert (
        run("train", "-o", tmp_path / "m.safetensors", "--from", base, *SHORT, "--camera", camera, *RANGES).status == 0
    )
    folder = tmp_path / "m.training"
    assert sorted(file.name for file in folder.iterdir()) == ["checkpoint.pt", "curves.png", "log.csv", "samples.tif"]
    with (folder / "log.csv").open(newline="") as file:
        *_, row = csv.DictReader(file)
    assert 0 <= float(row["jaccard"]) <= 1
    with open_stack(folder / "samples.tif") as samples:
        assert samples.pixel_size_nm == 100
        assert 100 < np.median(samples[:]) < 200


def test_what_is_not_given_is_estimated_from_a_movie_and_shown_next_to_it(run, movie, tmp_path):
    model = tmp_path / "m.safetensors"
    flags = ("--like", movie, "--baseline", 100, "--electrons-per-adu", 0.5)
    assert run("train", "-o", model, "--from", "default", *SHORT, *flags).status == 0
    card = read_card(model)
    assert card.training["like"] == "movie.tif"
    assert card.domain["photons"][0] < 2250 < card.domain["photons"][1]
    with open_stack(tmp_path / "m.training" / "samples.tif") as samples:
        assert samples.frame_shape == (40, 2 * 52 + 2)


def test_it_learns_from_a_movie_with_truth(base, run, movie, truth, camera, tmp_path):
    model = tmp_path / "m.safetensors"
    assert (
        run("train", "-o", model, "--from", base, *SHORT, "--movie", movie, "--truth", truth, "--camera", camera).status
        == 0
    )
    about = read_card(model).training
    assert about["data"] == "movie.tif with truth.csv"
    assert about["held_out_frames"] == 1
    assert read_card(model).domain == load_model(base).card.domain


def test_a_finished_run_is_written_again_and_resumed_with_more_steps(base, run, camera, tmp_path):
    model, flags = tmp_path / "m.safetensors", ("--camera", camera, *RANGES)
    assert run("train", "-o", model, "--from", base, *SHORT, *flags).status == 0
    first = model.read_bytes()
    assert run("train", "-o", model, "--from", base, *SHORT, *flags, "--resume").status == 0
    assert model.read_bytes() == first
    assert run("train", "-o", model, "--from", base, *SHORT, *flags, "--iterations", 3, "--resume").status == 0
    assert model.read_bytes() != first


def test_a_program_reads_what_happens_and_stops_the_training_by_the_end_of_its_input(
    base, run, camera, tmp_path, monkeypatch
):
    model = tmp_path / "m.safetensors"
    flags = ("train", "-o", model, "--from", base, *SHORT, "--camera", camera, *RANGES)
    read, write = os.pipe()
    written = EventLines.write

    def stopping(self, event, plan):
        written(self, event, plan)
        if isinstance(event, BaseScore):
            os.close(write)

    with os.fdopen(read) as standard_input, monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", standard_input)
        patched.setattr(EventLines, "write", stopping)
        status, out, _ = run(*flags, "--iterations", 100_000, "--events")
    start, score, stopped = map(json.loads, out.splitlines())
    assert (status, start["event"], score["event"], stopped["event"]) == (130, "start", "base", "stopped")
    assert start["domain"]["photons"] == [500, 1500]
    assert 0 < stopped["n_done"] < 100_000

    status, out, _ = run(*flags, "--iterations", stopped["n_done"], "--resume", "--events")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (status, lines[0]["n_done"], lines[-1]["event"]) == (0, stopped["n_done"], "model")
    status, out, _ = run(*flags, "--events")
    assert (status, json.loads(out)["kind"]) == (2, "OutputExistsError")
    status, out, _ = run("train", "-o", tmp_path / "n.safetensors", "--from", base, "--events")
    assert (status, json.loads(out)["field"]) == (2, "camera")


def test_a_model_named_like_a_shipped_one_elsewhere_is_not_that(base, run, camera, tmp_path):
    output = tmp_path / "default.safetensors"
    assert run("train", "-o", output, "--from", "default", *SHORT, "--camera", camera, *RANGES).status == 0
    assert read_card(output).training["from"]["name"] == "default"


@pytest.mark.parametrize("source", ["simulation", "movie"])
def test_a_run_is_not_resumed_with_another_camera(base, run, refuse, camera, movie, truth, tmp_path, source):
    model, other = tmp_path / "m.safetensors", tmp_path / "other.yaml"
    other.write_text(camera.read_text().replace("baseline: 100", "baseline: 90"))
    flags = RANGES if source == "simulation" else ("--movie", movie, "--truth", truth)
    assert run("train", "-o", model, "--from", base, *SHORT, *flags, "--camera", camera).status == 0
    before = model.with_suffix(".yaml").read_bytes()
    again = ("train", "-o", model, "--from", base, *SHORT, *flags, "--camera", other, "--resume", "--iterations", 3)
    status, _, err = run(*again)
    assert (status, "trained on other samples" in err) == (2, True)
    assert model.with_suffix(".yaml").read_bytes() == before


def test_what_is_estimated_and_learned_is_said(run, movie, tmp_path):
    flags = ("--from", "default", *SHORT, "--like", movie)
    err = run("train", "-o", tmp_path / "m.safetensors", *flags).err
    assert "movie.tif: camera from the movie: baseline" in err
    assert "movie.tif: PSF from the movie: sigma 1.09 px" in err
    assert re.search(r"learning from sigma 1\.\d+ to 1\.\d+ px, 1,\d+ to \d,\d+ photons.* a square micrometre", err), (
        err
    )


def test_with_all_ranges_given_nothing_has_to_be_found_in_a_movie(base, run, tmp_path, rng):
    dark = rng.poisson(100, (5, 32, 36)).astype(np.uint16)
    write_movie(tmp_path / "dark.tif", [dark], shape=dark.shape, pixel_size_nm=100)
    flags = ("--like", tmp_path / "dark.tif", "--baseline", 90, "--psf-sigma-nm", 120, *RANGES)
    assert run("train", "-o", tmp_path / "m.safetensors", "--from", base, *SHORT, *flags).status == 0


def test_a_truth_with_more_frames_than_the_movie_is_refused(base, refuse, movie, simulated, camera, tmp_path):
    truth = simulated[1]
    formats.write(tmp_path / "long.csv", truth.with_columns(frame=truth.frame + 3))
    flags = ("--camera", camera, "--movie", movie, "--truth", tmp_path / "long.csv")
    message = refuse("train", "-o", tmp_path / "m.safetensors", "--from", base, *SHORT, *flags)
    assert "the truth names frame 14, the movie has 12 frames" in message


def test_ranges_beyond_those_of_the_base_model_are_reported(base, run, camera, tmp_path):
    flags = ("--camera", camera, *RANGES, "--psf-sigma-nm", 400)
    err = run("train", "-q", "-o", tmp_path / "m.safetensors", "--from", base, *SHORT, *flags).err
    assert "warning: outside what base was trained on: PSF: sigma" in err


def test_a_model_that_did_not_learn_is_no_better(base, run, camera, tmp_path):
    flags = ("--camera", camera, *RANGES, "--learning-rate", 1e-12)
    err = run("train", "-o", tmp_path / "m.safetensors", "--from", base, *SHORT, *flags).err
    assert "no better than base: keep that" in err


def test_what_is_held_out_of_a_movie_needs_a_pixel_size(refuse, tmp_path, rng):
    import tifffile

    tifffile.imwrite(tmp_path / "m.tif", rng.poisson(100, (10, 32, 36)).astype(np.uint16))
    points = Localizations({"frame": np.arange(10), "y": rng.uniform(0, 30, 10), "x": rng.uniform(0, 30, 10)})
    formats.write(tmp_path / "t.parquet", points)
    flags = ("--movie", tmp_path / "m.tif", "--truth", tmp_path / "t.parquet", "--held-out", 0.2)
    assert "give --pixel-size-nm" in refuse("train", "-o", tmp_path / "m.safetensors", *SHORT, *flags)


def test_what_only_movies_know_is_refused_for_simulations(refuse, tmp_path):
    message = refuse("train", "-o", tmp_path / "m.safetensors", *SHORT, "--crops-per-frame", 5)
    assert "--crops-per-frame is for a movie with truth" in message


def test_the_papers_model_is_fine_tuned_too(run, tmp_path):
    model = tmp_path / "m.safetensors"
    flags = ("--iterations", 2, "--batch-size", 2, "--crop-px", 16, "--emitters-per-frame", 40)
    assert run("train", "-o", model, "--from", "paper", *flags).status == 0
    assert read_card(model).threshold == 0.1
    assert read_card(model).training["from"]["name"] == "paper"


#: What turns ADU into photons.
GAIN = ("--baseline", 100, "--electrons-per-adu", 0.5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--like", "m.tif"), "--like is for fine-tuning a model that takes photons"),
        (("--from", "defualt"), "did you mean 'default'?"),
        (("--from", "default"), "give --camera FILE, or --like MOVIE"),
        (("--from", "default", *GAIN), "no pixel size"),
        (("--from", "default", *GAIN, "--pixel-size-nm", 100), "give --psf-sigma-nm"),
        (("--from", "default", "--photons-range", "5"), "a range is LOW:HIGH, got '5'"),
        (("--from", "default", "--kernel-px", 0.2), "--kernel-px is not for fine-tuning default"),
        (("--from", "default", "--photons", 500), "--photons is not for fine-tuning default"),
        (("--from", "default", "--held-out", 0.1), "--held-out is for a movie with truth"),
        (("--from", "default", "--movie", "m.tif"), "both --movie and --truth"),
        (("--from", "default", "--like", "gone.tif"), "gone.tif"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(refuse, tmp_path, flags, message):
    assert message in refuse("train", "-o", tmp_path / "m.safetensors", *flags)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--photons-range", "500:200"), "--photons-range: a range goes up, from LOW to HIGH, got '500:200'"),
        (("--photons-range", "0:200"), "photons must be positive"),
        (("--density-um2=-1:2",), "density_per_px must go up"),
        (("--density-um2", "0:0"), "the highest density must be above 0"),
        (("--background-range", "nan:3"), "background"),
        (("--psf-sigma-nm", "-3"), "sigma_nm must be positive"),
        (("--iterations", "0"), "iterations"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(refuse, camera, tmp_path, flags, message):
    assert message in refuse("train", "-o", tmp_path / "m.safetensors", "--from", "default", "--camera", camera, *flags)
    assert list(tmp_path.iterdir()) == [camera]


def test_a_truth_that_does_not_fit_the_movie_is_refused(base, refuse, movie, simulated, camera, tmp_path):
    truth = simulated[1]
    formats.write(tmp_path / "far.csv", truth.with_columns(y=truth.y + 1000))
    flags = ("--camera", camera, "--movie", movie, "--truth", tmp_path / "far.csv")
    message = refuse("train", "-o", tmp_path / "m.safetensors", "--from", base, *SHORT, *flags)
    assert "points lie outside the frames" in message
    assert not (tmp_path / "m.training").exists()


def test_a_model_is_not_replaced_by_the_one_that_is_fine_tuned_from_it(base, run, refuse, camera, tmp_path):
    model = tmp_path / "m.safetensors"
    assert run("train", "-o", model, "--from", base, *SHORT, "--camera", camera, *RANGES).status == 0
    before = model.read_bytes()
    flags = ("--from", model, "--camera", camera, "--overwrite")
    assert "is the model to fine-tune" in refuse("train", "-o", model, *flags)
    assert run("train", "-o", "ours", "--from", base, *SHORT, "--camera", camera, *RANGES).status == 0
    again = ("--from", "ours", "--camera", camera, "--overwrite")
    assert "is the model to fine-tune" in refuse("train", "-o", "ours", *again)
    assert "'default' is a model that comes with" in refuse("train", "-o", "default", "--from", "default")
    assert model.read_bytes() == before


def test_a_movie_without_a_pixel_size_needs_one(base, refuse, tmp_path, rng):
    import tifffile

    tifffile.imwrite(tmp_path / "m.tif", rng.poisson(100, (5, 32, 36)).astype(np.uint16))
    message = refuse("train", "-o", tmp_path / "m.safetensors", "--from", base, *SHORT, "--like", tmp_path / "m.tif")
    assert "does not say its pixel size" in message


def test_an_unreadable_card_of_the_base_is_named(base, refuse, camera, run, tmp_path):
    model = tmp_path / "m.safetensors"
    assert run("train", "-o", model, "--from", base, *SHORT, "--camera", camera, *RANGES).status == 0
    document = yaml.safe_load(model.with_suffix(".yaml").read_text())
    document["model"] |= {"program": "napari-subpixel 99.0", "attention": True}
    model.with_suffix(".yaml").write_text(yaml.safe_dump(document))
    message = refuse("train", "-o", tmp_path / "n.safetensors", "--from", model, "--camera", camera)
    assert "m.yaml: " in message
    assert "written by napari-subpixel 99.0" in message


def test_frames_next_to_a_movie_of_floats_are_shown_in_whole_numbers(base, run, movie, tmp_path):
    with open_stack(movie) as stack:
        write_movie(tmp_path / "f.tif", [stack[:].astype(np.float32)], shape=(12, 40, 52), dtype=np.float32,
                    pixel_size_nm=100)  # fmt: skip
    flags = ("--like", tmp_path / "f.tif", "--baseline", 100)
    assert run("train", "-o", tmp_path / "m.safetensors", "--from", base, *SHORT, *flags).status == 0
