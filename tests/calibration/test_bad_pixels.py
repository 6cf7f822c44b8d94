"""Bad pixels of the camera, found from simulated movies: all of them, and nothing that came through the lens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_subpixel.calibration.bad_pixel_files import read_bad_pixels
from napari_subpixel.calibration.bad_pixels import BadPixels, find_bad_pixels
from napari_subpixel.calibration.frame_sample import sampled_frames
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.psf import GaussianPSF, draw_gaussians
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack

CAMERA = Camera(100.0, 100.0, 0.5)
SHAPE = (72, 88)
SPARSE = Simulation(
    frame_shape=SHAPE, n_frames=40, structure="uniform", emitters_per_frame=12, photons=1500, on_time_frames=0,
    background=20.0, camera=CAMERA, psf=GaussianPSF(130.0),
)  # fmt: skip


def found(frames: np.ndarray, camera: Camera | None = None) -> BadPixels:
    return find_bad_pixels(sampled_frames(open_stack(frames)), camera)


def beads(sigma_px: float, photons: float, n_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Draw beads that never move, some of which lie on the middle of a pixel."""
    at = rng.uniform(0, np.array(SHAPE) - 1, (12, 2))
    at[:6] = at[:6].round()
    light = draw_gaussians((1, *SHAPE), np.zeros(12, int), *at.T, np.full(12, photons), sigma_px) + 20
    return CAMERA.expose(np.repeat(light, n_frames, axis=0), rng)


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda pixel, rng: 65535, "stuck"),
        (lambda pixel, rng: 137, "stuck"),
        (lambda pixel, rng: 0, "stuck"),
        (lambda pixel, rng: pixel + 300, "hot"),
        (lambda pixel, rng: pixel + rng.normal(300, 80, len(pixel)).clip(0), "hot"),
        (lambda pixel, rng: 100 + rng.normal(0, 400, len(pixel)).clip(0), "noisy"),
    ],
    ids=["saturated", "constant", "dead", "hot", "hot and noisy", "noisy"],
)
@pytest.mark.parametrize("place", [(30, 41), (0, 60), (55, 87)])
def test_a_bad_pixel_is_found_and_no_other(spoil, kind, place, rng):
    frames, _ = simulate(SPARSE, rng)
    assert found(frames).number == 0
    frames[(slice(None), *place)] = spoil(frames[(slice(None), *place)].astype(float), rng)
    bad = found(frames)
    assert np.argwhere(bad.mask).tolist() == [list(place)]
    assert bad.text == f"bad pixels, interpolated: 1 {kind} (y {place[0]}, x {place[1]})"


def test_rows_columns_and_pairs_are_found(rng):
    frames, _ = simulate(SPARSE, rng)
    frames[:, 20], frames[:, :, 33] = 0, 65535
    frames[:, :, 50] += 400
    frames[:, 60:62, 10] += 400
    assert found(frames).places == ["row 20", "column 33", "column 50", "y 60, x 10", "y 61, x 10"]


@pytest.mark.parametrize("n_frames", [5, 12, 40])
@pytest.mark.parametrize("sigma_px", [0.8, 1.3, 2.5])
@pytest.mark.parametrize("photons", [1000.0, 50_000.0])
def test_beads_are_no_bad_pixels(sigma_px, photons, n_frames, rng):
    assert found(beads(sigma_px, photons, n_frames, rng)).text == ""


@pytest.mark.parametrize("n_frames", [5, 8, 20])
@pytest.mark.parametrize("per_frame", [1, 120])
def test_molecules_of_a_short_movie_are_none(n_frames, per_frame, rng):
    movie = replace(SPARSE, n_frames=n_frames, emitters_per_frame=per_frame, on_time_frames=5.0, psf=GaussianPSF(90.0))
    assert found(simulate(movie, rng)[0]).text == ""


@pytest.mark.parametrize("background", [0.1, 0.5, 3.0])
def test_dim_movies_with_few_levels_have_none(background, rng):
    movie = replace(SPARSE, background=background, camera=replace(CAMERA, electrons_per_adu=4.0))
    assert found(simulate(movie, rng)[0]).text == ""


@pytest.mark.parametrize("spread_adu", [2.0, 20.0])
def test_the_fixed_pattern_of_an_scmos_camera_has_none(spread_adu, rng):
    frames, _ = simulate(SPARSE, rng)
    offset, gain = rng.normal(300, spread_adu, SHAPE), rng.normal(1, 0.08, SHAPE)
    assert found(((frames - 100.0) * gain + offset).clip(0).astype(np.uint16)).text == ""


def test_what_the_cameras_maps_correct_is_not_bad(rng):
    frames, _ = simulate(SPARSE, rng)
    frames[:, 30, 40] += 300
    baseline = np.full(SHAPE, 100.0)
    assert found(frames, replace(CAMERA, baseline=baseline)).number == 1
    baseline[30, 40] = 400.0
    assert found(frames, replace(CAMERA, baseline=baseline)).number == 0


@pytest.mark.parametrize("kind", ["field stop", "step", "divider", "padding", "blank frames", "copies", "subtracted"])
def test_parts_without_light_and_unusual_movies_have_none(kind, rng):
    frames, _ = simulate(SPARSE, rng)
    y, x = np.indices(SHAPE)
    lit = {"field stop": (y - 36) ** 2 + (x - 44) ** 2 < 30**2, "step": x < 40, "divider": abs(x - 44) > 3}
    if kind in lit:
        frames = CAMERA.expose(np.repeat(np.where(lit[kind], 100.0, 0.0)[None], 40, axis=0), rng)
    elif kind == "padding":
        frames = np.pad(frames, ((0, 0), (6, 5), (0, 8)))
    elif kind == "blank frames":
        frames[5::6] = 0
    elif kind == "copies":
        frames = np.repeat(frames[:1], 20, axis=0)
    else:
        frames = np.clip(frames - np.median(frames, axis=0), 0, None).astype(np.uint16)
    assert found(frames).text == ""


def test_a_movie_that_cannot_show_them_has_none(rng):
    frames, _ = simulate(SPARSE, rng)
    frames[:, 30, 40] = 65535
    assert found(frames[:4]).number == 0
    assert found(frames[:, :7, :7]).number == 0
    damaged = frames.astype(np.float32)
    damaged[::3, 2, 2] = np.nan  # these frames are refused when they are detected
    assert found(damaged).places == ["y 30, x 40"]


def test_where_much_seems_bad_nothing_is_called_so(rng):
    frames, _ = simulate(SPARSE, rng)
    frames[:, ::6] = 0
    bad = found(frames)
    assert bad.number == 0
    assert bad.text == "17% of the pixels seem bad, which is more than a camera has: all are used as they are"


def test_the_summary_has_all_of_them(rng):
    mask = rng.random(SHAPE) < 0.02
    mask[7], mask[:, 9] = True, True
    bad = BadPixels.of_mask(mask)
    assert np.array_equal(BadPixels.of_summary(bad.summary, SHAPE).mask, mask)
    many = BadPixels.of_mask(rng.random((100, 100)) < 0.3)
    with pytest.raises(InputError, match="of which not all are listed"):
        BadPixels.of_summary(many.summary, (100, 100))


def test_a_file_names_them(tmp_path):
    (tmp_path / "list.csv").write_text("y,x\n# of the old camera\n3,4\n\n 5; 6\n")
    assert read_bad_pixels(tmp_path / "list.csv") == ((3, 4), (5, 6))
    np.save(tmp_path / "mask.npy", np.eye(4) > 0)
    assert read_bad_pixels(tmp_path / "mask.npy").places == [f"y {k}, x {k}" for k in range(4)]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("list.txt", b"3,4\n5\n", "line 2 is '5', expected a row and a column"),
        ("list.txt", b"y,x\n", "holds no rows and columns"),
        ("mask.npy", b"3,4", "is not a mask"),
        ("mask.tif", b"3,4", "is not a mask"),
    ],
)
def test_another_kind_of_file_is_refused(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=why):
        read_bad_pixels(tmp_path / name)
    with pytest.raises(InputError, match=r"none\.txt: no such file"):
        read_bad_pixels(tmp_path / "none.txt")


def test_a_mask_is_that_of_a_frame(tmp_path):
    np.save(tmp_path / "mask.npy", np.zeros((2, 4, 4)))
    with pytest.raises(InputError, match=r"expected a \(Y, X\) mask"):
        read_bad_pixels(tmp_path / "mask.npy")
    with pytest.raises(InputError, match="row 9, column 1 lies outside of the frames, 4 x 4 px"):
        BadPixels.at([(9, 1)], (4, 4))
    with pytest.raises(InputError, match="no good pixel is left"):
        BadPixels.of_mask(np.ones((4, 4), bool))
    with pytest.raises(InputError, match="the mask has 4 x 4 px, the frames have 8 x 4 px"):
        BadPixels.none((4, 4)).check_fits((8, 4))
