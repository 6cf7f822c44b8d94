"""Cameras by name: those that come with the program, and the user's own in a folder of their own."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml

from napari_subpixel._util.user_folder import CONFIG
from napari_subpixel.camera import Camera
from napari_subpixel.cameras import presets
from napari_subpixel.cameras.presets import preset, preset_file, save_preset
from napari_subpixel.errors import InputError

FILES = sorted(presets.SHIPPED.glob("*.yaml"))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A user who has saved no camera yet."""
    monkeypatch.setenv(CONFIG, str(tmp_path / "config"))
    return tmp_path / "config" / "cameras"


# -- the shipped cameras -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_file_is_a_camera_with_a_name_and_its_source(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert any(source in text for source in ("data sheet", "certificate", "doi:"))
    assert list(yaml.safe_load(text)) == ["camera"]
    camera = Camera.from_yaml(path)
    assert presets.all_presets()[camera.name] == camera


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_numbers_of_a_shipped_camera_are_those_of_a_camera(path):
    camera = Camera.from_yaml(path)
    assert camera.pixel_size_nm is None, "depends on the magnification"
    assert camera.map_shape is None
    assert 50 <= camera.baseline <= 500
    assert 0.5 <= camera.quantum_efficiency < 1
    # One photo-electron is some grey levels, the read noise is less than a handful of photo-electrons.
    assert 1 <= camera.em_gain / camera.electrons_per_adu <= 100
    assert 0.2 <= camera.read_noise_e / camera.em_gain <= 3
    assert camera.to_adu(500) < 2**camera.bit_depth


def test_shipped_cameras_have_names_of_their_own():
    names = [Camera.from_yaml(path).name.casefold() for path in FILES]
    assert len(set(names)) == len(names) == len(presets.all_presets()) >= 5


def test_a_camera_is_found_by_its_name_whatever_its_case():
    assert preset("Hamamatsu ORCA-Fusion BT").electrons_per_adu == 0.24
    assert preset("hamamatsu orca-fusion bt") == preset("Hamamatsu ORCA-Fusion BT")
    assert preset_file("Hamamatsu ORCA-Fusion BT").parent == presets.SHIPPED


def test_a_misspelt_name_is_answered_with_a_guess_and_the_list():
    with pytest.raises(
        InputError,
        match=r"no camera 'Hamamatsu ORCA-Fusoin BT'; did you mean 'Hamamatsu ORCA-Fusion BT'\?; there are Andor",
    ):
        preset("Hamamatsu ORCA-Fusoin BT")


# -- the user's own -----------------------------------------------------------------------------------------------


def test_a_saved_camera_is_found_again(folder):
    mine = Camera(name="Lab 2, left port", pixel_size_nm=97, baseline=99.5, electrons_per_adu=0.5)
    assert save_preset(mine) == folder / "Lab 2, left port.yaml"
    assert preset("lab 2, left port") == mine
    assert list(presets.all_presets())[-1] == mine.name
    save_preset(Camera(name=mine.name, baseline=101))
    assert preset(mine.name).baseline == 101


def test_maps_are_saved_beside_the_camera(folder):
    mine = Camera(name="maps", baseline=np.arange(12.0).reshape(3, 4))
    save_preset(mine)
    assert preset("maps") == mine
    assert (folder / "maps_baseline.npy").exists()


def test_a_camera_of_a_file_with_another_name_is_saved_where_it_was(folder):
    folder.mkdir(parents=True)
    (folder / "bench.yaml").write_text("camera: {name: Bench, baseline: 7}\npsf: {sigma_nm: 120}\n")
    assert save_preset(Camera(name="Bench", baseline=8)) == folder / "bench.yaml"
    assert preset("Bench").baseline == 8
    assert "sigma_nm: 120" in (folder / "bench.yaml").read_text()


def test_a_camera_file_without_a_name_goes_by_its_own(folder):
    folder.mkdir(parents=True)
    (folder / "bench.yaml").write_text("camera: {baseline: 7}\n")
    assert preset("bench") == Camera(name="bench", baseline=7)


@pytest.mark.parametrize(
    "name", ["", "a/b", "a\\b", "..", ".hidden", "end ", "nul", "COM1.x", "a:b", "a\nb", "x" * 101]
)
def test_a_name_that_cannot_be_a_files_is_refused(folder, name):
    with pytest.raises(InputError, match=r"needs a name|file's name"):
        save_preset(Camera(name=name))
    assert not folder.exists()


def test_a_shipped_camera_is_not_replaced(folder):
    with pytest.raises(InputError, match=r"'HAMAMATSU ORCA-FUSION BT' is a shipped camera"):
        save_preset(Camera(name="HAMAMATSU ORCA-FUSION BT"))
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("camera: {name: Hamamatsu ORCA-Fusion BT, baseline: 7}\n")
    with pytest.warns(UserWarning, match="mine.yaml: another camera has the name 'Hamamatsu ORCA-Fusion BT'"):
        assert presets.all_presets()["Hamamatsu ORCA-Fusion BT"].baseline == 100


def test_a_folder_that_cannot_be_made_is_named(folder):
    folder.parent.write_text("a file where the folder should be")
    with pytest.raises(InputError, match="cameras: cannot make this folder"):
        save_preset(Camera(name="mine"))


@pytest.mark.parametrize("text", ["camera: [", "camera: {basline: 1}", "psf: {}", "camera: {baseline: gone.npy}", "\0"])
def test_a_damaged_file_is_left_out_with_a_warning_and_the_others_stay(folder, text):
    save_preset(Camera(name="good", baseline=3))
    (folder / "bad.yaml").write_text(text)
    (folder / ".draft-good.yaml").write_text("half a")
    with pytest.warns(UserWarning, match=r"bad.yaml: .*; this camera is left out") as caught:
        assert presets.all_presets()["good"].baseline == 3
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert preset("good").baseline == 3
        with pytest.raises(InputError, match=r"no camera 'bad'; there are .*, good; left out: .*bad.yaml"):
            preset("bad")
