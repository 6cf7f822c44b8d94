"""Frozen records and their sections of a YAML file, and what is said of a misspelt name."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import yaml

from napari_subpixel._util import records
from napari_subpixel.errors import InputError, shown, suggest


@dataclass(frozen=True)
class Lens:
    """A record to try things on: one field that is needed, three that are not."""

    magnification: float
    name: str = ""
    shifts: np.ndarray | tuple[float, ...] = ()
    notes: list[str] = field(default_factory=list)


# -- numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [3, 3.0, np.float32(3), np.float64(3), np.int8(3), np.uint16(3)])
def test_a_number_of_any_kind_becomes_a_float(value):
    result = records.number("lens", "magnification", value)
    assert result == 3.0
    assert type(result) is float


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "must be a number, got True"),
        (np.True_, "must be a number, got np.True_"),
        ("3", "must be a number, got '3'"),
        (None, "must be a number, got None"),
        ([3], r"must be a number, got \[3\]"),
        (np.ones((20, 30)), r"must be a number, got an array of shape \(20, 30\)"),
        (3j, "must be a number, got 3j"),
        (float("nan"), "must be finite, got nan"),
        (float("-inf"), "must be finite, got -inf"),
        (np.float32(np.inf), "must be finite, got inf"),
        (10**400, "must be finite, got inf"),
    ],
)
def test_what_is_no_number_is_refused_by_record_and_field(value, message):
    with pytest.raises(InputError, match=f"^lens: magnification {message}$"):
        records.number("lens", "magnification", value)


# -- dictionaries -------------------------------------------------------------------------------------------------


def test_a_record_is_built_from_named_fields():
    assert records.from_dict(Lens, "lens", {"name": "oil", "magnification": 100}) == Lens(100, "oil")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"magnification": 1, "magnifcation": 2}, "lens: unknown field 'magnifcation'; did you mean 'magnification'?"),
        ({"magnification": 1, "colour": 2}, "lens: unknown field 'colour'"),
        ({"magnification": 1, 7: 2}, "lens: unknown field 7"),
        ({"name": "oil"}, "lens: missing field 'magnification'"),
    ],
)
def test_a_misspelt_or_missing_field_is_refused_by_name(values, message):
    with pytest.raises(InputError) as caught:
        records.from_dict(Lens, "lens", values)
    assert str(caught.value) == message


def test_only_what_differs_from_the_defaults_is_in_the_record():
    assert records.to_dict(Lens(100)) == {"magnification": 100, "notes": []}
    assert records.to_dict(Lens(100, shifts=np.array([[1.5, 2]]))) == {
        "magnification": 100,
        "shifts": [[1.5, 2.0]],
        "notes": [],
    }


# -- files --------------------------------------------------------------------------------------------------------


def test_a_section_is_read_back_as_it_was_written(tmp_path):
    values = {"magnification": 1.5e-7, "name": "Öl, 100µ: №1", "shifts": [[1.0, 2.0], [3.0, 4.0]]}
    records.write_section(tmp_path / "setup.yaml", "lens", values)
    assert records.read_section(tmp_path / "setup.yaml", "lens") == values


def test_other_sections_stay_in_their_order(tmp_path):
    path = tmp_path / "setup.yaml"
    path.write_text("camera: {baseline: 100}\nlens: {magnification: 60}\nnotes: [a, b]\n")
    records.write_section(path, "lens", {"magnification": 100})
    assert yaml.safe_load(path.read_text()) == {
        "camera": {"baseline": 100},
        "lens": {"magnification": 100},
        "notes": ["a", "b"],
    }
    assert list(yaml.safe_load(path.read_text())) == ["camera", "lens", "notes"]


def test_a_file_says_which_sections_it_has(tmp_path):
    records.write_section(tmp_path / "setup.yaml", "lens", {})
    assert records.has_section(tmp_path / "setup.yaml", "lens")
    assert not records.has_section(tmp_path / "setup.yaml", "camera")


def test_what_is_read_may_be_changed_without_changing_the_next_reading(tmp_path):
    records.write_section(tmp_path / "setup.yaml", "lens", {"magnification": 60})
    records.read_section(tmp_path / "setup.yaml", "lens")["magnification"] = 1
    assert records.read_section(tmp_path / "setup.yaml", "lens") == {"magnification": 60}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"camera: {baseline: 100}", "no section 'lens:'; there are camera"),
        (b"{}", "no section 'lens:'; there are none"),
        (b"lens:", "section 'lens:' must list fields, got None"),
        (b"lens: 60", "section 'lens:' must list fields, got 60"),
        (b"lens: [60, 100]", "section 'lens:' must list fields, got [60, 100]"),
        (b"", "the file is empty (0 bytes)"),
        (b"# nothing yet", "expected sections such as 'camera:', got NoneType"),
        (b"just words", "expected sections such as 'camera:', got str"),
        (b"- lens\n- camera\n", "expected sections such as 'camera:', got list"),
        (b"lens: {magnification: 60\nname: [\n", "not YAML: "),
        (b"lens:\n\tmagnification: 60\n", "not YAML: "),
        (b"lens: !!python/object/apply:os.getcwd []", "not YAML: line 1, column 7: could not determine a constructor"),
        (b"lens: \x00", "not YAML: "),
        (b"II*\x00\xff\xfe\x80", "cannot be read: "),
    ],
)
def test_a_bad_file_is_refused_on_one_line_that_names_it(content, message, tmp_path):
    path = tmp_path / "setup.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        records.read_section(path, "lens")
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match=f"^{tmp_path}: cannot be read: "):
        records.read_section(tmp_path, "lens")


def test_a_file_that_is_not_yaml_is_not_replaced(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("frame,y,x\n")
    with pytest.raises(InputError, match="expected sections"):
        records.write_section(path, "lens", {"magnification": 60})
    assert path.read_text() == "frame,y,x\n"


def test_an_error_inside_is_raised_with_the_file_before_it(tmp_path):
    path = tmp_path / "setup.yaml"
    with pytest.raises(InputError) as caught, records.naming(path):
        records.number("lens", "magnification", "big")
    assert str(caught.value) == f"{path}: lens: magnification must be a number, got 'big'"


def test_other_errors_inside_pass_as_they_are(tmp_path):
    with pytest.raises(ZeroDivisionError), records.naming(tmp_path):
        raise ZeroDivisionError


# -- what is said -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("basline", "; did you mean 'baseline'?"),
        ("Baseline", "; did you mean 'baseline'?"),
        ("em-gain", "; did you mean 'em_gain'?"),
        ("wavelength", ""),
        ("", ""),
    ],
)
def test_a_close_name_is_suggested(name, suggestion):
    assert suggest(name, ["baseline", "em_gain", "read_noise_e"]) == suggestion


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("wide", "'wide'"),
        (None, "None"),
        ("two\nlines", r"'two\nlines'"),
        (np.zeros((40, 50)), "an array of shape (40, 50)"),
        ([np.zeros((2, 2))], "[array([[0., 0.], [0., 0.]])]"),
    ],
)
def test_what_was_found_is_shown_on_one_line(value, text):
    assert shown(value) == text
