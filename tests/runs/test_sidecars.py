"""Settings next to a movie: what they may be, and what is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.runs.sidecars import Sidecar


def test_everything_that_a_sidecar_may_hold_is_read(tmp_path):
    np.save(tmp_path / "map.npy", np.full((4, 5), 90.0))
    (tmp_path / "mine.safetensors").write_bytes(b"")
    path = tmp_path / "cell.subpixel.yaml"
    path.write_text(
        "camera: {pixel_size_nm: 80, baseline: map.npy}\npsf: {sigma_nm: 120}\nframes: [null, 50]\n"
        "roi: [[0, 4], [1, 5]]\nthreshold: 0.3\nmodel: mine.safetensors\npsf_measurement: {n_spots: 7}\n"
    )
    sidecar = Sidecar.from_yaml(path)
    camera = sidecar.over(Camera(pixel_size_nm=100, em_gain=30))
    assert (camera.pixel_size_nm, camera.em_gain, camera.map_shape) == (80, 30, (4, 5))
    assert sidecar.psf == {"sigma_nm": 120}
    assert (sidecar.frames, sidecar.roi, sidecar.threshold) == ((None, 50), ((0, 4), (1, 5)), 0.3)
    assert sidecar.model == str(tmp_path / "mine.safetensors")
    assert sidecar.names == ("camera", "psf", "frames", "roi", "threshold", "model")


def test_a_camera_file_will_do(tmp_path):
    Camera(pixel_size_nm=80).to_yaml(tmp_path / "cell.subpixel.yaml")
    sidecar = Sidecar.from_yaml(tmp_path / "cell.subpixel.yaml")
    assert (sidecar.names, dict(sidecar.camera)) == (("camera",), {"pixel_size_nm": 80})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("treshold: 0.3", "settings: unknown field 'treshold'; did you mean 'threshold'"),
        ("camera: {basline: 100}", "camera: unknown field 'basline'; did you mean 'baseline'"),
        ("camera: 7", "section 'camera:' must list fields, got 7"),
        ("camera: {baseline: gone.npy}", "there is no"),
        ("psf: {sigma_nm: -1}", "psf: sigma_nm must be positive"),
        ("psf: {sigma: 1}", "psf: unknown field 'sigma'"),
        ("psf: 130", "section 'psf:' must list fields, got 130"),
        ("frames: 10:20", "frames are given as 'frames: [500, 1000]', or with null for an open end; got 620"),
        ("frames: [1, 2, 3]", "got [1, 2, 3]"),
        ("frames: [a, 2]", "got ['a', 2]"),
        ("frames: [true, 2]", "got [True, 2]"),
        (
            "roi: 0:9,0:9",
            "a region is given as 'roi: [[0, 64], [100, 200]]', rows and columns in pixels; got '0:9,0:9'",
        ),
        ("roi: [[0, 9], [0, null]]", "got [0, None]"),
        ("threshold: much", "settings: threshold must be a number, got 'much'"),
        ("model: [fast]", "model must be a name or a file, got ['fast']"),
        ("- fast", "expected sections such as 'camera:', got list"),
        ("camera: [", "not YAML"),
    ],
)
def test_what_is_misspelt_or_impossible_is_refused_with_the_file(tmp_path, text, found):
    path = tmp_path / "cell.subpixel.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        Sidecar.from_yaml(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert found in str(refused.value)
