"""Pixels that are not square: all that is in nm is as on square ones of the same sample."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from napari_subpixel import formats
from napari_subpixel.analysis.density import count_neighbours
from napari_subpixel.analysis.drift import estimate_drift
from napari_subpixel.analysis.drift_curve import undo_drift
from napari_subpixel.analysis.filters import mask
from napari_subpixel.analysis.linking import link
from napari_subpixel.analysis.nena import nena
from napari_subpixel.camera import Camera
from napari_subpixel.errors import FilterError, ImplausibleError, InputError
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.localizations import Localizations, concat
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.rendering.render import render
from napari_subpixel.simulation.simulate import Simulation, simulate
from napari_subpixel.simulation.structures import draw_molecules
from napari_subpixel.stacks import open_stack
from napari_subpixel.stacks.writing import write_movie

HEIGHT, WIDTH = 120.0, 100.0
#: Frames of 50 x 80 pixels: 6,000 nm x 8,000 nm.
SHAPE = (50, 80)
N_FRAMES = 400


def sample(seed: int) -> dict[str, np.ndarray]:
    """Molecules at sites that are seen again and again, and a drift, in nm."""
    rng = np.random.default_rng(seed)
    sites = rng.uniform(300, 5700, (60, 2)) * (1, 1.3)
    frame = np.sort(rng.integers(0, N_FRAMES, 3000))
    sigma = rng.uniform(5, 12, (3000, 2))
    drift = np.column_stack([60 * np.sin(frame / 150), 0.1 * frame])
    y, x = (sites[rng.integers(0, 60, 3000)] + drift + sigma * rng.normal(size=(3000, 2))).T
    return {"frame": frame, "y": y, "x": x, "y_uncertainty": sigma[:, 0], "x_uncertainty": sigma[:, 1]}


def table(nm: dict[str, np.ndarray], height: float, width: float, shape: tuple[int, int] = SHAPE) -> Localizations:
    """Return a sample on pixels of a height and a width."""
    length = {"y": height, "x": width, "y_uncertainty": height, "x_uncertainty": width}
    columns = {name: values / length.get(name, 1) for name, values in nm.items()}
    columns |= {"photons": np.full(len(nm["frame"]), 900.0), "sigma": np.full(len(nm["frame"]), 1.25)}
    return Localizations(columns, pixel_size_nm=(height, width), frame_shape=shape, n_frames=N_FRAMES)


@pytest.fixture(scope="module")
def nm() -> dict[str, np.ndarray]:
    return sample(1)


@pytest.fixture(scope="module")
def oblong(nm: dict[str, np.ndarray]) -> Localizations:
    return table(nm, HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def square(nm: dict[str, np.ndarray]) -> Localizations:
    return table(nm, WIDTH, WIDTH, (60, 80))


# -- tables -------------------------------------------------------------------------------------------------------


def test_a_table_knows_height_and_width(oblong: Localizations, square: Localizations) -> None:
    assert (oblong.pixel_size_nm, square.pixel_size_nm) == ((120, 100), 100)
    assert "120 x 100 nm" in repr(oblong)
    assert concat([oblong, oblong]).pixel_size_nm == (120, 100)
    with pytest.raises(InputError, match=r"pixels of 120 x 100 nm \(height x width\) and 100 nm"):
        concat([oblong, square])


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".hdf5"])
def test_every_format_gives_the_table_back(tmp_path: Path, oblong: Localizations, suffix: str) -> None:
    formats.write(tmp_path / f"a{suffix}", oblong)
    back = formats.read(tmp_path / f"a{suffix}")
    assert (back.pixel_size_nm, back.frame_shape) == ((120, 100), SHAPE)
    np.testing.assert_allclose(back.yx, oblong.yx, rtol=0, atol=1e-5)
    for name in ("y_uncertainty", "x_uncertainty") if suffix != ".csv" else ():
        np.testing.assert_allclose(back[name], oblong[name], rtol=1e-5)
    np.testing.assert_allclose(back["sigma"], 1.25, rtol=1e-5)


def test_a_csv_is_in_nm_along_both_axes(tmp_path: Path, oblong: Localizations, nm: dict[str, np.ndarray]) -> None:
    formats.write(tmp_path / "a.csv", oblong)
    rows = pd.read_csv(tmp_path / "a.csv")
    np.testing.assert_allclose(rows["y [nm]"], nm["y"] + HEIGHT / 2, atol=1e-3)
    np.testing.assert_allclose(rows["x [nm]"], nm["x"] + WIDTH / 2, atol=1e-3)
    spread = np.hypot(nm["y_uncertainty"], nm["x_uncertainty"]) / np.sqrt(2)
    np.testing.assert_allclose(rows["uncertainty_xy [nm]"], spread, atol=1e-3)
    (tmp_path / "a-protocol.txt").unlink()
    given = formats.read(tmp_path / "a.csv", pixel_size_nm=(HEIGHT, WIDTH))
    np.testing.assert_allclose(given.yx, oblong.yx, atol=1e-5)


def test_picasso_sees_square_pixels_on_which_all_is_right_in_nm(
    tmp_path: Path, oblong: Localizations, nm: dict[str, np.ndarray]
) -> None:
    formats.write(tmp_path / "a.hdf5", oblong)
    movie, ours = yaml.safe_load_all((tmp_path / "a.yaml").read_text())
    with h5py.File(tmp_path / "a.hdf5") as file:
        rows = file["locs"][()]
    size = movie["Pixelsize"]
    for axis in "yx":
        np.testing.assert_allclose(rows[axis] * size, nm[axis], rtol=1e-6)
        np.testing.assert_allclose(rows[f"lp{axis}"] * size, nm[f"{axis}_uncertainty"], rtol=1e-6)
    assert movie["Height"] * size >= SHAPE[0] * HEIGHT
    assert "squares of the same area" in ours["napari-subpixel"]["pixels"]


# -- what follows detection ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression", ["y > 3000 & x < 3000", "uncertainty < 9", "y_uncertainty < x_uncertainty", "sigma < 140 nm"]
)
def test_a_filter_keeps_the_same_rows(oblong: Localizations, square: Localizations, expression: str) -> None:
    kept = mask(oblong, expression)
    assert kept.sum() > 0
    if "sigma" not in expression:  # whose pixels are of another size
        assert kept.tolist() == mask(square, expression).tolist()


@pytest.mark.parametrize(
    ("in_px", "in_nm"),
    [
        ("y < 20 px", f"y < {20 * HEIGHT}"),
        ("5 px < x <= 20 px", f"{5 * WIDTH} < x <= {20 * WIDTH}"),
        ("abs(y - mean(y)) < 6 px & 2 * x > 30 px - 3 px", f"abs(y - mean(y)) < {6 * HEIGHT} & 2 * x > {27 * WIDTH}"),
        ("y_uncertainty < 0.07 px", f"y_uncertainty < {0.07 * HEIGHT}"),
        ("uncertainty < 0.08 px & sigma < 1.3 px", f"uncertainty < {0.08 * np.sqrt(HEIGHT * WIDTH)} & sigma < 150"),
    ],
)
def test_a_length_in_pixels_is_of_those_in_its_direction(oblong: Localizations, in_px: str, in_nm: str) -> None:
    kept = mask(oblong, in_px)
    assert 0 < kept.sum() < len(kept)
    assert kept.tolist() == mask(oblong, in_nm).tolist()


@pytest.mark.parametrize("expression", ["x + y < 60 px", "sqrt(x^2 + y^2) < 60 px", "uncertainty - y > 2 px"])
def test_a_length_in_pixels_and_in_no_direction_is_refused(oblong: Localizations, expression: str) -> None:
    with pytest.raises(FilterError, match=r"in no one direction must be in nm where pixels are of 120 x 100 nm"):
        mask(oblong, expression)


def test_neighbours_and_links_are_the_same(oblong: Localizations, square: Localizations) -> None:
    assert count_neighbours(oblong, 60).tolist() == count_neighbours(square, 60).tolist()
    for settings in ({}, {"max_dark_frames": 3, "max_distance_nm": 40.0}):
        one, other = link(oblong, **settings), link(square, **settings)
        assert one.group.tolist() == other.group.tolist()
        np.testing.assert_allclose(one.molecules.y * HEIGHT, other.molecules.y * WIDTH)
        assert one.molecules.pixel_size_nm == (120, 100)


def test_rows_without_uncertainties_are_linked_by_their_distance_in_nm() -> None:
    y, x = np.array([0.0, 0.5, 10.0, 10.0]), np.array([0.0, 0.0, 10.0, 10.55])
    rows = Localizations({"frame": [0, 1, 0, 1], "y": y, "x": x}, pixel_size_nm=(HEIGHT, WIDTH))
    group = link(rows, max_distance_nm=58).group
    assert group[0] != group[1], "60 nm apart along y"
    assert group[2] == group[3], "55 nm apart along x"


def test_drift_is_the_same_and_is_taken_back(oblong: Localizations, square: Localizations) -> None:
    one, other = estimate_drift(oblong), estimate_drift(square)
    np.testing.assert_allclose(one.y_nm, other.y_nm, atol=0.5)
    np.testing.assert_allclose(one.x_nm, other.x_nm, atol=0.5)
    corrected = one.correct(oblong)
    np.testing.assert_allclose((oblong.y - corrected.y) * HEIGHT, one.y_nm[oblong.frame])
    np.testing.assert_allclose((oblong.x - corrected.x) * WIDTH, one.x_nm[oblong.frame])
    np.testing.assert_allclose(undo_drift(corrected).yx, oblong.yx)


def test_the_measured_precision_is_the_same(oblong: Localizations, square: Localizations) -> None:
    one, other = nena(oblong), nena(square)
    assert one.nena_nm == pytest.approx(other.nena_nm, rel=1e-3)
    assert one.textbook_nm == pytest.approx(other.textbook_nm, rel=1e-2)


@pytest.mark.parametrize("options", [{}, {"method": "histogram"}, {"sigma_nm": 15}])
def test_an_image_is_the_same(oblong: Localizations, square: Localizations, options: dict) -> None:
    # Half a camera pixel's height is between the two samples: rows count from the outer edges.
    moved = square.with_columns(y=square.y + (HEIGHT - WIDTH) / 2 / WIDTH)
    one, other = (render(rows, pixel_size_nm=20, **options) for rows in (oblong, moved))
    assert one.image.shape == other.image.shape == (300, 400)
    assert one.n_outside == other.n_outside
    differ = np.abs(one.image - other.image) > 1e-4 * other.image.max()
    assert differ.mean() < (1e-4 if options.get("method") == "histogram" else 1e-9)
    assert one.translate_nm == pytest.approx((-HEIGHT / 2 + 10, -WIDTH / 2 + 10))


def test_scores_are_the_same(nm: dict[str, np.ndarray], oblong: Localizations, square: Localizations) -> None:
    rng = np.random.default_rng(2)
    found = {**nm, "y": nm["y"] + rng.normal(0, 12, 3000) + 8, "x": nm["x"] + rng.normal(0, 8, 3000)}
    one = evaluate(table(found, HEIGHT, WIDTH), oblong, (25, 50), border_nm=300, remove_offset=True)
    other = evaluate(table(found, WIDTH, WIDTH, (60, 80)), square, (25, 50), border_nm=300, remove_offset=True)
    assert one.offset_removed_nm == pytest.approx(other.offset_removed_nm)
    for score, same in zip(one, other, strict=True):
        assert score.true_positives == pytest.approx(same.true_positives, abs=3)  # on the border, half a pixel apart
        assert score.rmse_nm == pytest.approx(same.rmse_nm, rel=5e-3)
        assert score.error_over_uncertainty == pytest.approx(same.error_over_uncertainty, rel=5e-3)
    assert json.loads(json.dumps(one.to_dict()))["pixel_size_nm"] == [120, 100]
    with pytest.raises(InputError, match=r"pixel sizes differ: localizations 120 x 100 nm .*, truth 100 nm"):
        evaluate(oblong, square)


# -- cameras and movies -------------------------------------------------------------------------------------------


def test_a_camera_file_holds_height_and_width(tmp_path: Path) -> None:
    camera = Camera(pixel_size_nm=(HEIGHT, WIDTH), baseline=100)
    camera.to_yaml(tmp_path / "camera.yaml")
    assert Camera.from_yaml(tmp_path / "camera.yaml") == camera
    assert camera.summary()["pixel_size_nm"] == [120, 100]
    assert Camera(pixel_size_nm=(100, 100)).pixel_size_nm == 100
    for wrong in ((100, 0), (100, 100, 100), (100, "wide")):
        with pytest.raises(InputError, match="camera: pixel_size_nm must be"):
            Camera(pixel_size_nm=wrong)  # type: ignore[arg-type]
    with pytest.raises(ImplausibleError, match="108 nm high and 5 nm wide are no camera's"):
        Camera(pixel_size_nm=(108, 5)).check_plausible()  # what a decimal comma makes


def test_a_simulated_psf_is_round_in_nm_and_the_movie_says_its_pixels(tmp_path: Path) -> None:
    settings = Simulation(
        frame_shape=(31, 41),
        n_frames=20,
        camera=Camera(pixel_size_nm=(150.0, 100.0)),
        psf=GaussianPSF(200.0),
        structure="uniform",
        emitters_per_frame=0,
        fiducials=1,
        background=0,
        molecules=10,
        fiducial_photons=1e6,
    )
    movie, truth = simulate(settings, np.random.default_rng(3))
    assert truth.pixel_size_nm == (150, 100)
    light = movie.sum(axis=0, dtype=np.float64)
    y, x = (np.arange(n) - at for n, at in zip(light.shape, truth.yx[0], strict=True))
    widths = [np.sqrt(np.average(d**2, weights=light.sum(axis=a)) - 1 / 12) for d, a in ((y, 1), (x, 0))]
    assert np.array(widths) * (150, 100) == pytest.approx([200, 200], rel=0.02)
    write_movie(tmp_path / "movie.tif", [movie], shape=movie.shape, pixel_size_nm=(150, 100))
    with open_stack(tmp_path / "movie.tif") as stack:
        assert stack.pixel_size_nm == (150, 100)


def test_simulated_rings_are_round_in_nm() -> None:
    camera = Camera(pixel_size_nm=(150.0, 100.0))
    settings = Simulation(frame_shape=(40, 60), camera=camera, structure="rings", n_structures=1, ring_radius_nm=800)
    places = draw_molecules(settings, np.random.default_rng(4)) * (150, 100)
    assert np.ptp(places, axis=0) == pytest.approx([1625, 1625], rel=0.01)
