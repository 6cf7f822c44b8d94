"""The command resolution."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel.localizations import Localizations


@pytest.fixture(scope="module")
def table() -> Localizations:
    rng = np.random.default_rng(4)
    place = np.repeat(rng.uniform(2, 30, (800, 2)), 4, axis=0)
    frame = np.repeat(rng.integers(0, 900, 800), 4) + np.tile(np.arange(4), 800)
    yx = place + rng.normal(0, 0.1, place.shape)
    columns = {"frame": frame, "y": yx[:, 0], "x": yx[:, 1], "y_uncertainty": np.full(3200, 0.1)}
    columns |= {"x_uncertainty": np.full(3200, 0.1), "photons": np.where(np.arange(3200) < 1600, 500.0, 900.0)}
    return Localizations(columns, pixel_size_nm=130, frame_shape=(32, 32), n_frames=1000)


@pytest.mark.parametrize("suffix", ["csv", "hdf5", "parquet"])
def test_numbers_as_json(run, table, tmp_path, suffix):
    formats.write(tmp_path / f"found.{suffix}", table)
    status, out, _ = run("resolution", tmp_path / f"found.{suffix}", "--json")
    assert status == 0
    document = json.loads(out)
    assert {"nena_nm", "nena_error_nm", "uncertainty_factor", "frc_nm", "frc_error_nm"} < document.keys()
    assert document["n_localizations"] == 3200
    # A csv is in nm and says no pixel size: none is needed.
    assert document["nena_nm"] == pytest.approx(13, rel=0.05)
    assert document["uncertainty_factor"] == pytest.approx(1, rel=0.05)


def test_numbers_as_text_and_a_plot(run, table, tmp_path):
    formats.write(tmp_path / "found.parquet", table)
    plot = tmp_path / "plot.png"
    status, out, err = run("resolution", tmp_path / "found.parquet", "--plot", plot, "--keep", "photons > 600")
    assert status == 0
    assert out.startswith("localizations   1600\nNeNA")
    assert "1,600 of 3,200 rows are kept" in err
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "exists already" in run("resolution", tmp_path / "found.parquet", "--plot", plot).err


def test_a_table_in_pixels_without_their_size_is_refused(refuse, run, table, tmp_path):
    formats.write(tmp_path / "found.parquet", table.with_about(pixel_size_nm=None))
    message = refuse("resolution", tmp_path / "found.parquet")
    assert "found.parquet: positions are in pixels" in message
    assert "--pixel-size-nm" in message
    out = run("resolution", tmp_path / "found.parquet", "--pixel-size-nm", 130, "--json").out
    assert json.loads(out)["nena_nm"] == pytest.approx(13, rel=0.05)


def test_what_cannot_be_measured_is_null_and_a_warning(run, table, tmp_path):
    kept = ("frame", "y", "x")
    bare = Localizations({name: table[name] for name in kept}, pixel_size_nm=130, frame_shape=(32, 32))
    for rows, what in ((slice(0, 0), "no rows"), (slice(0, 1), "all rows are in one frame")):
        formats.write(tmp_path / "few.parquet", bare[rows], overwrite=True)
        status, out, err = run("resolution", tmp_path / "few.parquet", "--json")
        assert status == 0
        assert json.loads(out)["frc_nm"] is None
        assert f"warning: {tmp_path}/few.parquet: {what}" in err
    formats.write(tmp_path / "bare.parquet", bare)
    _, out, err = run("resolution", tmp_path / "bare.parquet", "--json")
    document = json.loads(out)
    assert (document["nena_nm"], document["uncertainty_factor"]) == (None, None)
    assert document["nena_textbook_nm"] == pytest.approx(13, rel=0.1)
    assert "the table has no uncertainties" in err


@pytest.mark.parametrize("command", ["resolution", "report"])
def test_a_filter_in_pixels_needs_their_size(refuse, run, table, tmp_path, command):
    rows = ["frame,x [nm],y [nm],uncertainty [nm],width [px]"]
    rows += [
        f"{frame + 1},{x:.2f},{y:.2f},13,{k % 3}"
        for k, (frame, (y, x)) in enumerate(zip(table.frame, table.yx * 130, strict=True))
    ]
    path = tmp_path / "found.csv"
    path.write_text("\n".join(rows) + "\n")
    output = () if command == "resolution" else ("-o", tmp_path / "report.html")
    for keep in ("uncertainty < 0.2 px", "width < 2"):
        message = refuse(command, path, *output, "--keep", keep)
        assert f"{path}: the filter {keep!r} is in pixels" in message
        assert message.endswith("; give --pixel-size-nm")
    if command == "resolution":
        _, out, _ = run(command, path, "--keep", "uncertainty < 20", "--json")
        assert json.loads(out)["n_localizations"] == 3200
        _, out, _ = run(command, path, "--keep", "uncertainty < 0.2 px", "--pixel-size-nm", 130, "--json")
        assert json.loads(out)["n_localizations"] == 3200
        assert "unknown column 'widht'" in refuse(command, path, "--keep", "widht < 2 px")


def test_a_table_partly_in_pixels_needs_their_size(refuse, run, table, tmp_path):
    rows = ["frame,x [nm],y [nm],uncertainty [px]"]
    rows += [f"{frame + 1},{x:.2f},{y:.2f},0.1" for frame, (y, x) in zip(table.frame, table.yx * 130, strict=True)]
    path = tmp_path / "found.csv"
    path.write_text("\n".join(rows) + "\n")
    assert "some lengths are in nm and others in pixels" in refuse("resolution", path)
    _, out, _ = run("resolution", path, "--pixel-size-nm", 130, "--json")
    assert json.loads(out)["uncertainty_factor"] == pytest.approx(1, rel=0.05)
