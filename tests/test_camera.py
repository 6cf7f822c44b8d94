"""The camera: its arithmetic and its inverse, the statistics of its noise, its maps, and its YAML file."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
import tifffile
import yaml
from hypothesis import given
from hypothesis import strategies as st

from napari_subpixel.camera import MAPS, Camera
from napari_subpixel.cameras.presets import all_presets
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.errors import ImplausibleError, InputError
from napari_subpixel.psf import GaussianPSF

#: Frames of one level, enough that a mean is known to a few tenths of a percent and a variance to about one.
SHAPE = (200, 20, 30)
MAP_SHAPE = (6, 9)


@pytest.fixture
def scmos(rng) -> Camera:
    return Camera(
        pixel_size_nm=110,
        baseline=rng.uniform(90, 110, MAP_SHAPE),
        electrons_per_adu=rng.uniform(0.4, 0.6, MAP_SHAPE),
        read_noise_e=rng.uniform(1, 9, MAP_SHAPE),
        quantum_efficiency=0.8,
        name="sCMOS",
    )


# -- photons and ADU ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("camera", "photons", "adu"),
    [
        (Camera(), 300, 300),
        (Camera(baseline=100), 0, 100),
        (Camera(baseline=100, electrons_per_adu=0.5), 100, 300),
        (Camera(baseline=100, electrons_per_adu=0.5, quantum_efficiency=0.8), 100, 260),
        (Camera(baseline=200, electrons_per_adu=20, em_gain=100), 50, 450),
        (Camera(baseline=1, electrons_per_adu=45, quantum_efficiency=0.9, em_gain=300), 10, 61),
    ],
)
def test_photons_have_their_adu(camera, photons, adu):
    assert camera.to_adu(photons) == pytest.approx(adu)
    assert camera.to_photons(adu) == pytest.approx(photons)


@given(
    photons=st.floats(-1e3, 1e6),
    baseline=st.floats(-100, 5000),
    electrons_per_adu=st.floats(0.01, 100),
    quantum_efficiency=st.floats(0.1, 1),
    em_gain=st.floats(1, 1000),
)
def test_to_adu_and_back_is_what_it_was(photons, **settings):
    camera = Camera(**settings)
    assert camera.to_photons(camera.to_adu(photons)) == pytest.approx(photons, rel=1e-9, abs=1e-5)


def test_to_adu_and_back_is_what_it_was_in_every_pixel_of_a_map(scmos, rng):
    photons = rng.uniform(0, 1000, (4, *MAP_SHAPE))
    np.testing.assert_allclose(scmos.to_photons(scmos.to_adu(photons)), photons)
    assert scmos.to_adu(photons)[2, 3, 5] == pytest.approx(
        photons[2, 3, 5] * 0.8 / scmos.electrons_per_adu[3, 5] + scmos.baseline[3, 5]
    )


def test_frames_as_they_come_from_a_file_are_converted_without_overflow():
    adu = np.array([[0, 99], [100, 65535]], np.uint16)
    assert Camera(baseline=100).to_photons(adu).tolist() == [[-100, -1], [0, 65435]]


# -- noise --------------------------------------------------------------------------------------------------------


def test_a_ccd_has_the_poisson_noise_of_its_electrons_and_read_noise(rng):
    camera = Camera(baseline=100, electrons_per_adu=0.5, quantum_efficiency=0.8, read_noise_e=3)
    adu = camera.expose(np.full(SHAPE, 50.0), rng)
    assert adu.shape == SHAPE
    assert adu.dtype == np.uint16
    assert adu.mean() == pytest.approx(50 * 0.8 / 0.5 + 100, rel=0.002)
    assert adu.var() == pytest.approx((50 * 0.8 + 3**2) / 0.5**2, rel=0.03)


def test_without_noise_of_its_own_a_camera_counts_poisson_photons(rng):
    photons = Camera().expose(np.full(SHAPE, 7.0), rng)
    assert photons.mean() == pytest.approx(7, rel=0.01)
    assert photons.var() == pytest.approx(7, rel=0.03)
    assert (photons == 0).mean() == pytest.approx(np.exp(-7), rel=0.4)


def test_quantum_efficiency_loses_photons_before_they_make_noise(rng):
    half = Camera(quantum_efficiency=0.5).expose(np.full(SHAPE, 40.0), rng)
    assert half.mean() == pytest.approx(20, rel=0.01)
    assert half.var() == pytest.approx(20, rel=0.03)


@pytest.mark.parametrize("em_gain", [1.5, 4, 300])
def test_an_emccd_has_the_excess_noise_that_it_states(em_gain, rng):
    camera = Camera(
        baseline=200, electrons_per_adu=em_gain / 10, quantum_efficiency=0.9, em_gain=em_gain, read_noise_e=em_gain
    )
    photo_electrons = 30 * 0.9
    adu = camera.expose(np.full(SHAPE, 30.0), rng)
    variance = camera.excess_noise_factor * photo_electrons * em_gain**2 + em_gain**2
    assert adu.mean() == pytest.approx(photo_electrons * 10 + 200, rel=0.003)
    assert adu.var() == pytest.approx(variance / camera.electrons_per_adu**2, rel=0.03)


@pytest.mark.parametrize(("em_gain", "factor"), [(1, 1), (2, 1.25), (1000, 2)])
def test_the_excess_noise_goes_from_none_to_twice(em_gain, factor):
    assert Camera(em_gain=em_gain).excess_noise_factor == pytest.approx(factor, rel=0.002)


def test_multiplication_makes_nothing_out_of_darkness(rng):
    camera = Camera(baseline=100, em_gain=300)
    assert (camera.expose(np.zeros(SHAPE), rng) == 100).all()


def test_an_scmos_has_its_own_level_and_noise_in_every_pixel(scmos, rng):
    n = 4000
    adu = scmos.expose(np.full((n, *MAP_SHAPE), 60.0), rng)
    variance = (60 * 0.8 + scmos.read_noise_e**2) / scmos.electrons_per_adu**2
    assert np.abs(adu.mean(axis=0) - scmos.to_adu(np.full(MAP_SHAPE, 60.0))).max() < 5 * np.sqrt(variance.max() / n)
    np.testing.assert_allclose(adu.var(axis=0), variance, rtol=5 * np.sqrt(2 / n))


def test_in_photons_an_exposure_is_unbiased(scmos, rng):
    photons = scmos.to_photons(scmos.expose(np.full((2000, *MAP_SHAPE), 60.0), rng))
    assert photons.mean() == pytest.approx(60, rel=0.003)


@pytest.mark.parametrize(("bit_depth", "full"), [(8, 255), (12, 4095), (16, 65535)])
def test_too_much_light_saturates_at_the_bit_depth(bit_depth, full, rng):
    adu = Camera(bit_depth=bit_depth, read_noise_e=5).expose(np.full((2, 5, 7), 1e6), rng)
    assert (adu == full).all()


def test_read_noise_below_zero_is_cut_and_does_not_wrap(rng):
    adu = Camera(read_noise_e=10).expose(np.zeros(SHAPE), rng)
    assert adu.min() == 0
    assert adu.max() < 100
    assert (adu == 0).mean() == pytest.approx(0.52, abs=0.01)  # all below 0.5, the standard deviation being 10


def test_the_same_generator_gives_the_same_exposure(scmos):
    photons = np.full((3, *MAP_SHAPE), 20.0)
    one, same, other = (scmos.expose(photons, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_a_single_pixel_and_no_frames_are_exposed_too(rng):
    assert Camera(baseline=100, em_gain=2).expose(0.0, rng) == 100
    assert Camera().expose(np.zeros((0, 5, 7)), rng).shape == (0, 5, 7)


@pytest.mark.parametrize("photons", [-1.0, np.nan])
def test_impossible_light_is_refused(photons, rng):
    with pytest.raises(InputError, match=f"negative or NaN photons, got {photons:g}"):
        Camera().expose(np.full((2, 3), photons), rng)


# -- maps ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(9, 6), (3, 9, 6), (9,), (1, 9), (6, 1), (), (2, 6, 8)])
def test_frames_that_do_not_fit_the_maps_are_refused_and_not_broadcast(scmos, shape, rng):
    for convert in (scmos.to_photons, scmos.to_adu, lambda light: scmos.expose(light, rng)):
        with pytest.raises(InputError, match=r"the camera's maps have shape \(6, 9\), the frames \("):
            convert(np.ones(shape))


def test_a_camera_says_whether_it_fits(scmos):
    assert scmos.map_shape == MAP_SHAPE
    scmos.check_fits(MAP_SHAPE)
    with pytest.raises(InputError, match=r"maps have shape \(6, 9\), the frames \(9, 6\)"):
        scmos.check_fits((9, 6))


def test_a_camera_without_maps_fits_any_frame():
    assert Camera().map_shape is None
    Camera().check_fits((64, 48))


def test_a_cropped_camera_is_that_part_of_it(scmos, rng):
    part = scmos.crop(slice(1, 4), slice(2, 9))
    photons = rng.uniform(0, 100, MAP_SHAPE)
    assert part.map_shape == (3, 7)
    assert part.quantum_efficiency == scmos.quantum_efficiency
    assert part.name == scmos.name
    np.testing.assert_array_equal(part.to_adu(photons[1:4, 2:9]), scmos.to_adu(photons)[1:4, 2:9])
    assert Camera(baseline=100).crop(slice(1, 4), slice(2, 9)) == Camera(baseline=100)


def test_a_crop_beside_the_frame_is_refused(scmos):
    with pytest.raises(InputError, match=r"baseline .* got shape \(0, 9\)"):
        scmos.crop(slice(6, 8), slice(0, 9))


# -- frozen -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [f.name for f in fields(Camera)])
def test_no_field_can_be_changed(name):
    with pytest.raises(FrozenInstanceError):
        setattr(Camera(), name, 1)


@pytest.mark.parametrize("field", MAPS)
def test_no_pixel_of_a_map_can_be_changed(scmos, field):
    with pytest.raises(ValueError, match="read-only"):
        getattr(scmos, field)[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        getattr(scmos.crop(slice(2), slice(3)), field)[0, 0] = 1


def test_a_map_is_a_copy_of_what_was_handed_in():
    baseline = np.full(MAP_SHAPE, 100.0)
    camera = Camera(baseline=baseline)
    baseline[0, 0] = 7
    assert camera.baseline[0, 0] == 100


def test_cameras_are_equal_by_value_and_cannot_be_keys(scmos):
    assert Camera(baseline=100) == Camera(baseline=100.0)
    assert Camera(baseline=100) != Camera(baseline=101)
    assert Camera() != Camera(pixel_size_nm=100)
    assert scmos == Camera.from_dict(scmos.to_dict())
    assert scmos != scmos.crop(slice(5), slice(9))
    assert Camera() != "camera"
    with pytest.raises(TypeError, match="unhashable"):
        hash(Camera())


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pixel_size_nm": -65}, "pixel_size_nm must be positive, got -65"),
        ({"pixel_size_nm": 0}, "pixel_size_nm must be positive, got 0"),
        ({"pixel_size_nm": np.inf}, "pixel_size_nm must be finite, got inf"),
        ({"pixel_size_nm": "100 nm"}, "pixel_size_nm must be a number, got '100 nm'"),
        ({"baseline": np.nan}, "baseline must be finite, got nan"),
        ({"baseline": "high"}, "baseline must be a number, got 'high'"),
        ({"baseline": True}, "baseline must be a number, got True"),
        ({"baseline": None}, "baseline must be a number, got None"),
        ({"baseline": 10**400}, "baseline must be finite, got inf"),
        ({"baseline": {"a": 1}}, "baseline must be a number, got {'a': 1}"),
        ({"electrons_per_adu": 0}, "electrons_per_adu must be positive, got 0"),
        ({"electrons_per_adu": -0.5}, "electrons_per_adu must be positive, got -0.5"),
        ({"electrons_per_adu": [[1, 2], [0, 1]]}, "electrons_per_adu must be positive, got 0"),
        ({"quantum_efficiency": 1.5}, "quantum_efficiency must be above 0, at most 1, got 1.5"),
        ({"quantum_efficiency": 0}, "quantum_efficiency must be above 0, at most 1, got 0"),
        ({"quantum_efficiency": np.nan}, "quantum_efficiency must be finite, got nan"),
        (
            {"quantum_efficiency": np.full(MAP_SHAPE, 0.9)},
            "quantum_efficiency must be a number, got an array of shape (6, 9)",
        ),
        ({"em_gain": 0.5}, "em_gain must be at least 1 (1 is none), got 0.5"),
        ({"em_gain": np.float32(np.inf)}, "em_gain must be finite, got inf"),
        ({"em_gain": "off"}, "em_gain must be a number, got 'off'"),
        ({"em_gain": False}, "em_gain must be a number, got False"),
        ({"em_gain": 2j}, "em_gain must be a number, got 2j"),
        ({"em_gain": np.complex128(2)}, "em_gain must be a number"),
        ({"read_noise_e": -1}, "read_noise_e must not be negative, got -1"),
        ({"read_noise_e": [[1, -2], [1, 1]]}, "read_noise_e must not be negative, got -2"),
        ({"bit_depth": 17}, "bit_depth must be a whole number from 1 to 16, got 17"),
        ({"bit_depth": 0}, "bit_depth must be a whole number from 1 to 16, got 0"),
        ({"bit_depth": 12.5}, "bit_depth must be a whole number from 1 to 16, got 12.5"),
        ({"bit_depth": True}, "bit_depth must be a number, got True"),
        ({"bit_depth": "16"}, "bit_depth must be a number, got '16'"),
        ({"name": 897}, "name must be text, got 897"),
        ({"baseline": np.ones((2, 3, 4))}, "baseline must be a number or a (Y, X) map, got shape (2, 3, 4)"),
        ({"baseline": [1, 2]}, "baseline must be a number or a (Y, X) map, got shape (2,)"),
        ({"baseline": []}, "baseline must be a number or a (Y, X) map, got shape (0,)"),
        ({"baseline": [[1, 2], [3]]}, "baseline must be a number or a (Y, X) map, got rows of unequal length"),
        ({"baseline": [["a", "b"], ["c", "d"]]}, "baseline must be a map of numbers, got <U1"),
        ({"baseline": [[True, False]]}, "baseline must be a map of numbers, got bool"),
        ({"baseline": [[1, np.nan], [3, 4]]}, "baseline must be finite in every pixel, got nan"),
        (
            {"baseline": np.ones((2, 3)), "read_noise_e": np.ones((3, 2))},
            "maps differ in shape: [(2, 3), (3, 2)]",
        ),
    ],
)
def test_an_impossible_value_is_refused_by_name(settings, message):
    with pytest.raises(InputError) as caught:
        Camera(**settings)
    assert str(caught.value).startswith(f"camera: {message}")
    assert "\n" not in str(caught.value)


def test_numbers_of_any_kind_are_taken():
    camera = Camera(bit_depth=np.int64(12), em_gain=np.float32(2), baseline=np.uint16(100), pixel_size_nm=100)
    assert camera == Camera(bit_depth=12, em_gain=2.0, baseline=100.0, pixel_size_nm=100.0)
    assert [type(v) for v in (camera.bit_depth, camera.em_gain, camera.baseline)] == [int, float, float]
    assert type(Camera(bit_depth=12.0).bit_depth) is int


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("basline", "camera: unknown field 'basline'; did you mean 'baseline'?"),
        ("pixel_size", "camera: unknown field 'pixel_size'; did you mean 'pixel_size_nm'?"),
        ("colour", "camera: unknown field 'colour'"),
    ],
)
def test_a_misspelt_field_is_refused_with_the_right_spelling(field, message):
    with pytest.raises(InputError) as caught:
        Camera.from_dict({field: 100})
    assert str(caught.value) == message


# -- YAML ---------------------------------------------------------------------------------------------------------


def test_a_camera_goes_through_yaml_unchanged(tmp_path):
    camera = Camera(pixel_size_nm=106.3, baseline=398.6, em_gain=300, read_noise_e=74.4, name="Kamera µ: №1")
    camera.to_yaml(tmp_path / "camera.yaml")
    assert Camera.from_yaml(tmp_path / "camera.yaml") == camera


def test_only_what_differs_from_the_defaults_is_written(tmp_path):
    Camera(baseline=100, bit_depth=np.int64(12)).to_yaml(tmp_path / "camera.yaml")
    assert yaml.safe_load((tmp_path / "camera.yaml").read_text()) == {"camera": {"baseline": 100, "bit_depth": 12}}
    Camera().to_yaml(tmp_path / "plain.yaml")
    assert Camera.from_yaml(str(tmp_path / "plain.yaml")) == Camera()


def test_a_camera_with_maps_goes_through_yaml_unchanged(scmos, tmp_path):
    scmos.to_yaml(tmp_path / "camera.yaml")
    assert Camera.from_yaml(tmp_path / "camera.yaml") == scmos
    maps = ["camera_baseline.npy", "camera_electrons_per_adu.npy", "camera_read_noise_e.npy"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["camera.yaml", *maps]


def test_maps_may_be_tiff_files_in_a_folder_beside_it(scmos, tmp_path):
    (tmp_path / "maps").mkdir()
    tifffile.imwrite(tmp_path / "maps" / "dark.tif", np.full(MAP_SHAPE, 100, np.uint16))
    tifffile.imwrite(tmp_path / "maps" / "noise.tiff", scmos.read_noise_e.astype(np.float32))
    text = "camera:\n  baseline: maps/dark.tif\n  read_noise_e: maps/noise.tiff\n  electrons_per_adu: 0.5\n"
    (tmp_path / "camera.yaml").write_text(text)
    camera = Camera.from_yaml(tmp_path / "camera.yaml")
    assert (camera.baseline == 100).all()
    assert camera.map_shape == MAP_SHAPE
    np.testing.assert_allclose(camera.read_noise_e, scmos.read_noise_e, rtol=1e-6)


def test_a_map_may_be_listed_in_the_file_itself(tmp_path):
    (tmp_path / "camera.yaml").write_text("camera:\n  baseline: [[100, 101, 102], [98, 99, 100]]\n")
    assert Camera.from_yaml(tmp_path / "camera.yaml").map_shape == (2, 3)


def test_camera_and_psf_live_in_one_file(tmp_path):
    path = tmp_path / "setup.yaml"
    path.write_text("note: {operator: me}\n")
    Camera(baseline=100).to_yaml(path)
    GaussianPSF(sigma_nm=130).to_yaml(path)
    Camera(baseline=101).to_yaml(path)
    assert Camera.from_yaml(path) == Camera(baseline=101)
    assert GaussianPSF.from_yaml(path) == GaussianPSF(130.0)
    assert list(yaml.safe_load(path.read_text())) == ["note", "camera", "psf"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("camera: {basline: 100}", "camera: unknown field 'basline'; did you mean 'baseline'?"),
        ("camera: {quantum_efficiency: 1.5}", "camera: quantum_efficiency must be above 0, at most 1, got 1.5"),
        ("camera: {em_gain: off}", "camera: em_gain must be a number, got False"),
        ("camera: {pixel_size_nm: -100}", "camera: pixel_size_nm must be positive, got -100"),
        ("psf: {sigma_nm: 100}", "no section 'camera:'; there are psf"),
        ("camera:", "section 'camera:' must list fields, got None"),
        ("camera: iXon", "section 'camera:' must list fields, got 'iXon'"),
    ],
)
def test_a_bad_file_is_named_with_the_field(text, message, tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        Camera.from_yaml(path)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("map_file", "content", "message"),
    [
        ("dark.tif", None, "baseline is neither a number nor a map's file: there is no .*dark.tif"),
        ("1e2", None, "baseline is neither a number nor a map's file: there is no .*1e2"),
        ("dark.tif", b"not an image", "baseline: .*dark.tif is not a map"),
        ("dark.npy", b"not an array", "baseline: .*dark.npy is not a map"),
        ("dark.npy", b"", "baseline: .*dark.npy is not a map"),
        ("dark.tif", b"", "baseline: .*dark.tif is not a map"),
    ],
)
def test_a_map_that_cannot_be_read_is_named_with_its_field(map_file, content, message, tmp_path):
    if content is not None:
        (tmp_path / map_file).write_bytes(content)
    (tmp_path / "camera.yaml").write_text(f"camera: {{baseline: {map_file}}}")
    with pytest.raises(InputError, match=f"camera.yaml: camera: {message}"):
        Camera.from_yaml(tmp_path / "camera.yaml")


def test_a_movie_is_not_a_map(tmp_path):
    tifffile.imwrite(tmp_path / "movie.tif", np.ones((4, 5, 7), np.uint16), photometric="minisblack")
    (tmp_path / "camera.yaml").write_text("camera: {baseline: movie.tif}")
    with pytest.raises(InputError, match=r"camera.yaml: camera: baseline must be .* map, got shape \(4, 5, 7\)"):
        Camera.from_yaml(tmp_path / "camera.yaml")


def test_the_summary_tells_a_map_in_brief(scmos):
    summary = scmos.summary()
    assert summary["baseline"].startswith("map (6, 9), mean ")
    assert summary["quantum_efficiency"] == 0.8
    assert "em_gain" not in summary
    assert Camera().summary() == {}


def test_more_photons_than_any_camera_sees_are_refused(rng):
    with pytest.raises(InputError, match=r"cannot receive 1e\+30 photons"):
        Camera().expose(np.full((2, 3), 1e30), rng)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"pixel_size_nm": 0.108}, r"a pixel size of 0.108 nm is not between 1 and 10000 nm: did you mean 108\?"),
        ({"pixel_size_nm": 1.08e-7}, r"did you mean 108\?"),
        ({"pixel_size_nm": 108_000.0}, r"did you mean 108\?"),
        ({"electrons_per_adu": 1e6}, "electrons_per_adu is not between 0.0001 and 10000, got 1e"),
        ({"em_gain": 1e5}, "em_gain is not between"),
        ({"baseline": -1e9}, "baseline is not between"),
    ],
)
def test_numbers_that_no_camera_has_are_refused(fields, why):
    with pytest.raises(ImplausibleError, match=why):
        Camera(**fields).check_plausible()
    with pytest.raises(ImplausibleError, match=why):
        DetectionOptions(Camera(**fields))


def test_numbers_of_real_cameras_are_plausible():
    for camera in (Camera(), Camera(1.0), Camera(160.0, 398.6, 5.0, 0.9, 300.0, 74.4), *all_presets().values()):
        camera.check_plausible()


@pytest.mark.parametrize("name", ["map.npy", "map.tif"])
def test_a_damaged_map_is_refused_in_a_line(tmp_path, name):
    if name == "map.npy":
        np.save(tmp_path / name, np.ones((4, 5)))
        content = (tmp_path / name).read_bytes().replace(b"(4, 5)", b"(4000000, 50000000)")
    else:
        tifffile.imwrite(tmp_path / name, np.arange(2000.0).reshape(40, 50), compression="zlib")
        content = (tmp_path / name).read_bytes()
        content = content[:-1200] + bytes(1200)
    (tmp_path / name).write_bytes(content)
    (tmp_path / "camera.yaml").write_text(f"camera: {{baseline: {name}}}\n")
    with pytest.raises(InputError, match="is not a map") as caught:
        Camera.from_yaml(tmp_path / "camera.yaml")
    assert "\n" not in str(caught.value)
