"""The detector: points in the right place, and the same points however the work is cut up."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import checked_roi
from napari_subpixel.detection import tiling
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.devices import DEVICES, choose_device
from napari_subpixel.detection.tiling import tiles
from napari_subpixel.errors import InputError
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.models import Model, ModelCard
from napari_subpixel.models.pixel_network import PointNetwork
from napari_subpixel.models.unet import UNet
from napari_subpixel.psf import draw_gaussians
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate


@pytest.fixture(scope="module")
def movie() -> np.ndarray:
    """Five crowded frames of odd, unequal sides."""
    rng = np.random.default_rng(4)
    n = 300
    y, x = rng.uniform(-1, 77, n), rng.uniform(-1, 91, n)
    mean = draw_gaussians((5, 77, 91), rng.integers(0, 5, n), y, x, np.full(n, 2250.0), 1.1) + 15
    return rng.poisson(mean).astype(np.uint16)


def model_of(network: PointNetwork) -> Model:
    return Model(ModelCard("test", "a test", network.config, "minmax", 0.1, "0" * 64), network)


def same_points(first, second, threshold: float) -> None:
    """Compare within 0.001 px; only within 1e-4 of the threshold may a point come or go."""
    tables = [t.select(t["probability"] >= threshold + 1e-4) for t in (first, second)]
    assert len(tables[0]) == len(tables[1]) > 100
    assert (tables[0].frame == tables[1].frame).all()
    np.testing.assert_allclose(tables[0].yx, tables[1].yx, atol=1e-3)
    np.testing.assert_allclose(tables[0]["probability"], tables[1]["probability"], atol=1e-4)


def test_an_isolated_molecule_is_found_where_it_is_in_y_and_x():
    movie = draw_gaussians((1, 31, 43), [0], [12.3], [29.8], [2250.0], 1.1) + 15
    found = Detector("paper", threshold=0.1, device="cpu").detect(movie)
    assert found.frame_shape == (31, 43)
    near = found.select(np.hypot(found.y - 12.3, found.x - 29.8) < 1.5)
    best = int(near["probability"].argmax())
    assert near["probability"][best] > 0.3
    assert (near.y[best], near.x[best]) == pytest.approx((12.3, 29.8), abs=0.2)


def test_points_carry_the_offset_and_probability_of_their_pixel():
    """A network of constant output: every number of the table is known beforehand."""
    network = PointNetwork(n_points=1)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias[:] = torch.tensor([0.5493061, -0.5493061, 0.0])  # atanh(0.5): offsets +0.25 and -0.25
    found = Detector(model_of(network), threshold=0.4, device="cpu").detect(
        np.arange(24.0).reshape(2, 3, 4), first_frame=7
    )
    assert len(found) == 24
    assert found.frame.tolist() == [7] * 12 + [8] * 12
    np.testing.assert_allclose(
        found.yx[:5], [[0.25, -0.25], [0.25, 0.75], [0.25, 1.75], [0.25, 2.75], [1.25, -0.25]], atol=1e-6
    )
    assert found["probability"] == pytest.approx(0.5)


@pytest.mark.parametrize("tile_px", [1000, 40, 13])
def test_tiles_do_not_change_the_points(movie, tile_px):
    whole = Detector("paper", device="cpu", tile_px=1000).detect(movie)
    same_points(whole, Detector("paper", device="cpu", tile_px=tile_px).detect(movie), 0.1)


def test_batches_do_not_change_the_points(movie):
    detector = Detector("paper", device="cpu")
    whole = detector.detect(movie)
    single = np.concatenate([detector.detect(movie[t : t + 1], first_frame=t).table.to_numpy() for t in range(5)])
    assert len(single) == len(whole)
    np.testing.assert_allclose(single, whole.table.to_numpy(), atol=1e-4)


def detect_with_threads(detector: Detector, threads: int, *args, **keywords):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = detector.detect(*args, **keywords)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    return found


@pytest.mark.parametrize("n_frames", [5, 2], ids=["frames side by side", "one after the other"])
def test_threads_do_not_change_the_points(movie, n_frames):
    detector = Detector("paper", device="cpu")
    one, two = (detect_with_threads(detector, threads, movie[:n_frames]) for threads in (1, 2))
    same_points(one, two, 0.1)


def test_an_error_in_one_of_several_threads_is_raised(movie):
    detector = Detector("paper", device="cpu")
    detector.network.head = torch.nn.Identity()
    with pytest.raises(RuntimeError, match="shape"):
        detect_with_threads(detector, 2, movie)


def test_the_same_run_gives_the_same_bytes(movie):
    detector = Detector("paper", device="cpu")
    assert detector.detect(movie).table.equals(detector.detect(movie).table)


def test_a_region_has_the_points_of_the_whole_frame_that_lie_in_it(movie):
    detector = Detector("paper", device="cpu")
    (y0, y1), (x0, x1) = roi = ((11, 60), (30, 85))
    whole = detector.detect(movie)
    inside = (np.rint(whole.y) >= y0) & (np.rint(whole.y) < y1) & (np.rint(whole.x) >= x0) & (np.rint(whole.x) < x1)
    same_points(whole.select(inside), detector.detect(movie, roi=roi), 0.1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 3), (16, 17)])
def test_frames_smaller_than_the_receptive_field_work(shape, rng):
    found = Detector("paper", device="cpu").detect(rng.poisson(50, (3, *shape)))
    assert found.frame_shape == shape


@pytest.mark.parametrize("value", [0, 137, 65535])
def test_constant_frames_have_no_molecules(value):
    assert len(Detector("paper", device="cpu").detect(np.full((2, 20, 31), value, np.uint16))) == 0


def test_a_constant_frame_among_others_keeps_their_numbers(movie):
    detector = Detector("paper", device="cpu")
    with_blank = np.concatenate([movie[:2], np.full_like(movie[:1], 9), movie[2:]])
    assert set(detector.detect(with_blank).frame) == {0, 1, 3, 4, 5}


def test_no_frames_give_an_empty_table():
    found = Detector("paper", device="cpu").detect(np.zeros((0, 20, 30)))
    assert len(found) == 0
    assert found.columns == ("frame", "y", "x", "probability")


def test_every_point_reaches_the_threshold_and_a_lower_one_keeps_them(movie):
    strict, loose = (Detector("paper", threshold=t, device="cpu").detect(movie) for t in (0.3, 0.05))
    assert strict["probability"].min() >= 0.3 - 1e-6
    assert (loose["probability"] >= 0.3).sum() == len(strict) < len(loose)


def test_a_model_of_several_classes_names_the_likeliest():
    network = PointNetwork(n_points=1, n_classes=3)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias[:] = torch.tensor([0.0, 0.0, -2.0, 3.0, -1.0])
    found = Detector(model_of(network), device="cpu").detect(np.arange(6.0).reshape(1, 2, 3))
    assert found["class_index"].tolist() == [1] * 6


def test_scaling_knows_no_gain_and_no_offset(movie):
    """Each frame is scaled from its own minimum to its maximum."""
    detector = Detector("paper", device="cpu")
    same_points(detector.detect(movie), detector.detect(movie * 7.0 + 1000), 0.1)


def test_the_table_says_which_model_and_threshold_made_it(movie):
    about = Detector("paper", threshold=0.2, device="cpu").detect(movie[:1]).provenance
    assert about["threshold"] == 0.2
    assert about["model"]["name"] == "paper"
    assert len(about["model"]["sha256"]) == 64


@pytest.mark.parametrize("threshold", [0, 1, -0.1, 1.5, float("nan"), "much"])
def test_thresholds_that_are_no_probabilities_are_refused(threshold):
    with pytest.raises(InputError, match="threshold"):
        Detector("paper", threshold=threshold)


def test_a_single_image_is_not_a_stack():
    with pytest.raises(InputError, match=r"expected a \(T, Y, X\) stack, got shape \(64, 64\)"):
        Detector("paper").detect(np.zeros((64, 64)))


@pytest.mark.parametrize(
    "roi", [((0, 0), (0, 5)), ((5, 3), (0, 5)), ((-1, 5), (0, 5)), ((0, 21), (0, 5)), ((0, 5), (0, 31))]
)
def test_regions_outside_the_frame_are_refused(roi):
    with pytest.raises(InputError, match="does not lie within"):
        checked_roi(roi, (20, 30))


def test_tiles_must_have_a_size():
    with pytest.raises(InputError, match="tile_px"):
        Detector("paper", tile_px=0)


def test_tiles_cover_the_region_once():
    count = np.zeros((50, 70), int)
    for tile in tiles(((3, 50), (0, 61)), (50, 70), 16, 8):
        count[tile.rows, tile.columns] += 1
        assert tile.input_rows.start == max(tile.rows.start - 8, 0)
        assert tile.input_columns.stop == min(tile.columns.stop + 8, 70)
    assert (count[3:, :61] == 1).all()
    assert count.sum() == 47 * 61


def test_the_device_is_chosen_with_a_reason():
    device, reason = choose_device("auto")
    assert device.type in DEVICES
    assert "automatically" in reason
    assert choose_device("cpu")[1] == "cpu as asked"


def test_unknown_and_missing_devices_are_refused():
    with pytest.raises(InputError, match="must be one of auto, cpu, cuda, mps, got 'tpu'"):
        choose_device("tpu")
    missing = "mps" if not torch.backends.mps.is_available() else "cuda"
    with pytest.raises(InputError, match=f"device '{missing}' was asked for"):
        choose_device(missing)


# -- models that take photons and measure them ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measuring() -> Model:
    """An untrained network that shows many points, each with its uncertainty and light."""
    torch.manual_seed(3)
    network = UNet(width=8).eval()
    with torch.no_grad():
        network.head.weight.mul_(20)
    return Model(ModelCard("many", "a test", network.config, "counts", 0.1, "0" * 64), network)


@pytest.fixture
def optics() -> dict:
    return {"camera": Camera(100.0, 5.0, 0.5, 0.8, read_noise_e=1.5), "sigma_px": 1.1}


def test_a_measuring_model_reports_photons_background_and_uncertainties(movie, measuring, optics):
    found = Detector(measuring, device="cpu").detect(movie, **optics)
    assert found.columns == (
        "frame", "y", "x", "probability", "photons", "background", "y_uncertainty", "x_uncertainty",
    )  # fmt: skip
    assert (found["probability"] >= 0.1).all()
    assert (found["photons"] > 0).all()
    assert (found["y_uncertainty"] > 0).all()
    assert Detector(measuring, device="cpu").detect(movie[:0], **optics).columns == found.columns


@pytest.mark.parametrize("tile_px", [1000, 40, 13])
def test_tiles_do_not_change_the_points_of_a_network_that_halves_its_frames(movie, measuring, optics, tile_px):
    whole = Detector(measuring, device="cpu", tile_px=1000).detect(movie, **optics)
    same_points(whole, Detector(measuring, device="cpu", tile_px=tile_px).detect(movie, **optics), 0.1)


def test_a_region_has_the_measured_points_of_the_whole_frame(movie, measuring, optics):
    detector = Detector(measuring, device="cpu")
    (y0, y1), (x0, x1) = roi = ((11, 60), (30, 85))
    whole = detector.detect(movie, **optics)
    inside = (np.rint(whole.y) >= y0) & (np.rint(whole.y) < y1) & (np.rint(whole.x) >= x0) & (np.rint(whole.x) < x1)
    same_points(whole.select(inside), detector.detect(movie, roi=roi, **optics), 0.1)


def test_the_maps_of_a_camera_are_used(movie, measuring):
    maps = Camera(100.0, baseline=np.full(movie.shape[1:], 5.0), read_noise_e=np.full(movie.shape[1:], 2.0))
    plain = Camera(100.0, baseline=5.0, read_noise_e=2.0)
    detector = Detector(measuring, device="cpu")
    same_points(*(detector.detect(movie, camera=c, sigma_px=1.1) for c in (maps, plain)), 0.1)


def test_a_measuring_model_needs_sigma(movie, measuring):
    with pytest.raises(InputError, match="model many: needs the standard deviation of the point spread function"):
        Detector(measuring, device="cpu").detect(movie)


def test_the_input_of_a_tile_starts_on_the_grid_of_the_network():
    for tile in tiles(((3, 50), (0, 61)), (50, 70), 16, 8, 4):
        assert tile.input_rows.start % 4 == tile.input_columns.start % 4 == 0
        assert tile.input_rows.start <= max(tile.rows.start - 8, 0)


def test_the_shipped_model_for_many_microscopes_finds_sparse_molecules_and_their_light():
    settings = Simulation(
        frame_shape=(48, 60), n_frames=30, structure="uniform", emitters_per_frame=6, photons=2000, molecules=3000
    )
    movie, truth = simulate(settings, np.random.default_rng(4))
    found = Detector("default", device="cpu").detect(movie, camera=settings.camera, sigma_px=settings.sigma_px)
    (score,) = evaluate(found, truth, 50, pixel_size_nm=100)
    assert score.jaccard > 0.8
    assert score.rmse_nm < 20
    pairs = score.pairs
    assert np.median(found["photons"][pairs[:, 0]] / truth["photons"][pairs[:, 1]]) == pytest.approx(1, abs=0.1)
    errors = score.offsets_nm[:, 0] / (100 * found["y_uncertainty"][pairs[:, 0]])
    assert 0.5 < np.percentile(np.abs(errors), 68) < 1.5


def test_an_emccd_changes_neither_positions_nor_photons():
    """Its multiplication doubles the noise, so that the counts a network sees are not photons."""
    camera = Camera(100.0, 200.0, 20.0, 0.9, em_gain=200.0, read_noise_e=30.0)
    settings = Simulation(
        frame_shape=(256, 256), n_frames=12, camera=camera, structure="uniform", emitters_per_frame=25, photons=2000,
        background=15, on_time_frames=0.0,
    )  # fmt: skip
    movie, truth = simulate(settings, np.random.default_rng(1))
    found = Detector("fast", device="cpu").detect(movie, camera=camera, sigma_px=settings.sigma_px)
    (match,) = evaluate(found, truth, 50, pixel_size_nm=100)
    assert match.recall > 0.95
    assert match.precision > 0.9
    assert match.rmse_nm < 12
    own, true = match.pairs.T
    assert np.abs((found.yx[own] - truth.yx[true]).mean(axis=0)).max() < 0.02
    assert np.median(found["photons"][own] / truth["photons"][true]) == pytest.approx(1, abs=0.05)
    assert np.median(found["background"]) == pytest.approx(15, abs=1.5)


@pytest.mark.parametrize("shape", [(260, 303), (261, 290)])
def test_squares_of_sparse_frames_give_the_points_of_whole_ones(shape, monkeypatch):
    settings = Simulation(
        frame_shape=shape, n_frames=24, structure="uniform", emitters_per_frame=10, photons=1500, on_time_frames=0.0
    )
    movie, _ = simulate(settings, np.random.default_rng(6))
    detector, optics = Detector("fast", device="cpu"), {"camera": settings.camera, "sigma_px": settings.sigma_px}
    found = detector.detect(movie, **optics)
    part = detector.detect(movie, roi=((20, 220), (30, 250)), **optics)
    inside = (np.rint(found.y) >= 20) & (np.rint(found.y) < 220) & (np.rint(found.x) >= 30) & (np.rint(found.x) < 250)
    same_points(found.select(inside), part, detector.threshold)
    monkeypatch.setattr(tiling, "MAX_SQUARES_SHARE", 0.0)
    whole = detector.detect(movie, **optics)
    assert len(found) == pytest.approx(len(whole), abs=3)
    (match,) = evaluate(found, whole, 20, pixel_size_nm=100)
    assert match.jaccard > 0.97
    assert match.rmse_nm < 0.01 * 100


def test_crowded_frames_are_detected_whole_whatever_their_neighbours(movie, optics):
    detector = Detector("fast", device="cpu")
    empty = np.random.default_rng(2).poisson(15, movie.shape).astype(np.uint16)
    alone = detector.detect(movie, **optics)
    mixed = detector.detect(np.concatenate([empty, movie]), **optics)
    same_points(alone, mixed.select(mixed.frame >= 5).with_columns(frame=mixed.frame[mixed.frame >= 5] - 5), 0.5)
