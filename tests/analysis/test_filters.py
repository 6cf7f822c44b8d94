"""Filter expressions: what they mean, how they fail, and that ranges and texts choose the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_subpixel.analysis.expressions import MAX_DEPTH, parse, to_text
from napari_subpixel.analysis.filters import Filter, keep, mask
from napari_subpixel.analysis.quantities import names_in, source_of, values_in
from napari_subpixel.errors import FilterError, PixelSizeError
from napari_subpixel.formats import FLAVOURS
from napari_subpixel.formats.flavours import Unit
from napari_subpixel.localizations import Localizations


def drawn(n: int = 4000, seed: int = 0, pixel_size_nm: float | None = 108.0) -> Localizations:
    """Rows with every kind of column, some of them without photons."""
    rng = np.random.default_rng(seed)
    photons = rng.lognormal(6.5, 0.5, n)
    photons[rng.random(n) < 0.05] = np.nan
    return Localizations(
        {"frame": np.sort(rng.integers(0, 300, n)), "y": rng.uniform(-0.5, 63.5, n), "x": rng.uniform(-0.5, 95.5, n),
         "photons": photons, "background": rng.uniform(1, 9, n), "y_uncertainty": rng.lognormal(-2, 0.3, n),
         "x_uncertainty": rng.lognormal(-2, 0.3, n), "sigma": rng.normal(1.1, 0.1, n), "z_nm": rng.normal(0, 300, n),
         "probability": rng.random(n)},
        extra={"chi2": rng.chisquare(40, n), "sigma1 [nm]": rng.normal(130, 9, n), "detections": rng.integers(1, 6, n)},
        pixel_size_nm=pixel_size_nm, frame_shape=(64, 96), n_frames=300,
    )  # fmt: skip


TABLE = drawn()


def nm(column: str) -> np.ndarray:
    return (TABLE[column].astype(np.float64) * 108).astype(TABLE[column].dtype)


UNCERTAINTY = np.sqrt((TABLE["x_uncertainty"].astype(float) ** 2 + TABLE["y_uncertainty"].astype(float) ** 2) / 2) * 108
UNCERTAINTY = UNCERTAINTY.astype(np.float32)
PHOTONS = TABLE["photons"]

MEANINGS = {
    "uncertainty < 20 & photons > 500 & frame >= 100": (UNCERTAINTY < 20) & (PHOTONS > 500) & (TABLE.frame >= 100),
    "uncertainty < 20 nm": UNCERTAINTY < 20,
    "uncertainty_xy<0.02um": UNCERTAINTY < 20,
    "UNCERTAINTY < 0.1 px": np.float32(10.8) > UNCERTAINTY,
    "x > 3 \xb5m and y < 40 px": (nm("x") > 3000) & (TABLE.y * 108 < 40 * 108),
    "lpx < 15 or lpy < 15": (nm("x_uncertainty") < 15) | (nm("y_uncertainty") < 15),
    "10 < uncertainty <= 20": (UNCERTAINTY > 10) & (UNCERTAINTY <= 20),
    "300 < photons < 800 < photons * 2": (PHOTONS > 300) & (PHOTONS < 800) & (PHOTONS * 2 > 800),
    "!(photons > 500)": PHOTONS <= 500,
    "not (photons > 500 | frame < 10)": (PHOTONS <= 500) & (TABLE.frame >= 10),
    "!(300 < photons < 800)": (PHOTONS <= 300) | (PHOTONS >= 800),
    "intensity != 0": ~np.isnan(PHOTONS),
    '"intensity [photon]" > 500 & "uncertainty_xy [nm]" < 20': (PHOTONS > 500) & (UNCERTAINTY < 20),
    '"X (nm)" < 3 um and "Offset (photons)" > 4': (nm("x") < 3000) & (TABLE["background"] > 4),
    "photons >= 0 || frame == 3": ~np.isnan(PHOTONS) | (TABLE.frame == 3),
    "abs(z) < 200": np.abs(TABLE["z_nm"]) < 200,
    "abs(z - 0.1 um) < 200": np.abs(TABLE["z_nm"] - np.float32(100)) < 200,
    "-z > 1e2": TABLE["z_nm"] < -100,
    "photons > mean(photons)": np.float32(np.nanmean(PHOTONS.astype(float))) < PHOTONS,
    "photons / background > 100": PHOTONS / TABLE["background"] > 100,
    "sqrt(photons) >= 25": PHOTONS >= 625,
    "photons^0.5 >= 25": PHOTONS >= 625,
    "chi2 < 40": TABLE["chi2"] < 40,
    "sigma1 < 130 & `sigma1 [nm]` > 0.12 um": (TABLE["sigma1 [nm]"] < 130) & (TABLE["sigma1 [nm]"] > 120),
    "n_frames >= 3": TABLE["detections"] >= 3,
    "sigma / uncertainty > 8": nm("sigma").astype(float) / UNCERTAINTY > 8,
}


@pytest.mark.parametrize("expression", MEANINGS)
def test_an_expression_keeps_the_rows_that_it_says(expression):
    rows = mask(TABLE, expression)
    assert 0 < rows.sum() < len(TABLE)
    assert (rows != MEANINGS[expression]).sum() <= 1  # a number at the very edge may be rounded


@pytest.mark.parametrize("expression", MEANINGS)
def test_the_canonical_text_means_the_same_and_is_its_own(expression):
    first = Filter.of(expression)
    assert Filter.of(first.text) == first
    np.testing.assert_array_equal(first.mask(TABLE), mask(TABLE, first.text))


def test_the_canonical_text_is_plain():
    assert Filter.of("(Intensity>5e2)&&lpx<=0.02um OR not(frame=3)").text == (
        "Intensity > 500 & lpx <= 20 nm | !(frame == 3)"
    )
    assert Filter.of("a - (b - c) > 2 * (a + b) and (a > 1 or b > 1)").text == (
        "a - (b - c) > 2 * (a + b) & (a > 1 | b > 1)"
    )
    assert Filter.of("intensity > 1 & lpx < 2").columns == ("intensity", "lpx")


NUMBERS = st.floats(0, 1e6, allow_subnormal=False).map(lambda value: f"{value!r}")
QUANTITIES = st.recursive(
    st.one_of(NUMBERS, st.sampled_from(["photons", "uncertainty", "x", "chi2", "20 nm", "`sigma1 [nm]`"])),
    lambda part: st.one_of(
        st.builds("({} {} {})".format, part, st.sampled_from("+-*/"), part), st.builds("-{}".format, part),
        st.builds("abs({})".format, part), st.builds("({})^-2".format, part),
    ),
    max_leaves=6,
)  # fmt: skip
COMPARISONS = st.sampled_from(["<", ">=", "!=", "="])
CONDITIONS = st.recursive(
    st.builds("{} {} photons {} {}".format, QUANTITIES, COMPARISONS, COMPARISONS, QUANTITIES),
    lambda part: st.one_of(
        st.builds("({}) {} ({})".format, part, st.sampled_from("&|"), part), st.builds("!({})".format, part)
    ),
    max_leaves=4,
)  # fmt: skip


@given(CONDITIONS)
def test_any_canonical_text_reads_as_itself(expression):
    text = to_text(parse(expression))
    assert to_text(parse(text)) == text


MISTAKES = {
    "": "the filter is empty",
    "  ": "the filter is empty",
    "photons": "'^photons': expected a comparison",
    "photons >": "'photons >^': ends where",
    "photons > > 3": "'photons > ^> 3': unexpected '>'",
    "(photons > 3": "'^(photons > 3': this '(' is never closed",
    "photons > 3)": "'photons > 3^)': unexpected ')'",
    "photons > 3; import os": "'photons > 3^; import os': unexpected ';'",
    '"x [um]" < 3': "'^\"x [um]\" < 3': 'x [um]': x is in nm here; write x, and units after numbers",
    "id < 20": "'^id < 20': 'id' numbers the rows of a file, and is not kept; there are frame, y, x, prob",
    "intensity [photon] > 500": "unexpected '[': a heading with its unit needs double quotes",
    "x < 20 & phtons > 500": "'x < 20 & ^phtons > 500': unknown column 'phtons'; did you mean 'photons'?",
    "intensty > 500": "did you mean 'intensity'?",
    "uncertainty < 20 mm": "'uncertainty < 20 ^mm': unknown unit 'mm'",
    "photons < 20 nm": "'photons < ^20 nm': nm cannot be compared with photons",
    "uncertainty > photons": "photons cannot be compared with nm",
    "photons + x > 3": "'photons + ^x > 3': nm cannot be added to or subtracted from photons",
    "chi2 < 20 nm": "nm cannot be compared with a column of unknown unit",
    "first_frame > 3": "'^first_frame > 3': the table has no column 'first_frame'; there are frame, y, x",
    "1 < 2": "names no column",
    "(photons > 1) > 2": "expected a quantity, got a comparison",
    "photons > 1 & 3": "'photons > 1 & ^3': expected a comparison",
    "__import__('os') > 1": "unexpected \"'\"",
    "open(x) > 1": "'^open(x) > 1': unknown function 'open'",
    "photons.real > 1": "'photons^.real > 1': unexpected '.'",
    "photons ^ x > 1": "the exponent of a power must be a number",
    "photons > 1e999": "too large",
    "(" * 80 + "photons > 1" + ")" * 80: f"more than {MAX_DEPTH} levels deep",
    "!" * 5000 + "(photons > 1)": f"more than {MAX_DEPTH} levels deep",
    "photons > 0" + "+1" * 3000: "more than 200 terms",
    "photons > " + "1" * 20000: "at most 10,000 characters",
}  # fmt: skip


@pytest.mark.parametrize("expression", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(expression):
    with pytest.raises(FilterError) as error:
        mask(TABLE, expression)
    assert MISTAKES[expression] in str(error.value)
    assert "\n" not in str(error.value)


def test_a_mistake_is_reported_for_a_table_without_rows_too():
    for expression in ("phtons > 500", "photons < 20 nm"):
        with pytest.raises(FilterError):
            mask(TABLE[:0], expression)
    assert mask(TABLE[:0], "photons > mean(photons)").shape == (0,)


def test_a_row_without_the_value_never_passes():
    table = Localizations({"frame": [0, 1], "y": [0, 0], "x": [0, 0], "photons": [np.nan, 600]})
    for expression in ("photons > 500", "!(photons <= 500)", "photons != 3", "!(photons == 3)", "photons * 0 == 0",
                       "!(photons < 3 | photons > 1e9)"):  # fmt: skip
        assert mask(table, expression).tolist() == [False, True], expression
    assert mask(table, "photons > 500 | frame == 0").tolist() == [True, True]


def test_what_a_file_gives_as_a_number_equals_that_number():
    table = Localizations(
        {"frame": [0], "y": [0], "x": [0], "probability": [0.7], "x_uncertainty": [0.2], "y_uncertainty": [0.2]},
        pixel_size_nm=100,
    )
    for expression in ("probability >= 0.7", "probability <= 0.7", "uncertainty == 20", "lpx == 0.2 px"):
        assert mask(table, expression).all(), expression


def test_without_a_pixel_size_lengths_are_in_pixels_or_refused():
    table = drawn(pixel_size_nm=None)
    np.testing.assert_array_equal(mask(table, "x < 40 px"), table.x < 40)
    np.testing.assert_array_equal(
        mask(table, "photons > 500 & z < 100"), (table["photons"] > 500) & (table["z_nm"] < 100)
    )
    for expression in ("uncertainty < 20", "x < 3 um", "10 < x", "x < 3 px + 2", "z < 3 px"):
        with pytest.raises(PixelSizeError, match="the pixel size is not known"):
            mask(table, expression)


def test_ranges_and_their_text_keep_the_same_rows_bit_for_bit():
    rng = np.random.default_rng(5)
    for name in ("uncertainty", "photons", "x", "z_nm", "frame", "chi2", "lpx", "`sigma1 [nm]`"[1:-1]):
        values, _ = values_in(TABLE, source_of(TABLE, name))
        for low, high in np.sort(rng.choice(values[np.isfinite(values)], (20, 2)).astype(float), axis=1):
            chosen = Filter.from_ranges({name: (low, high)})
            rows = chosen.mask(TABLE)
            np.testing.assert_array_equal(
                rows, (values >= values.dtype.type(low)) & (values <= values.dtype.type(high))
            )
            np.testing.assert_array_equal(mask(TABLE, chosen.text), rows)


def test_ranges_go_into_a_text_and_back():
    ranges = {"photons": (500.0, None), "uncertainty": (None, 19.7), "z_nm": (-250.0, -3.5)}
    chosen = Filter.from_ranges(ranges)
    assert chosen.text == "photons >= 500 & uncertainty <= 19.7 & -250 <= z_nm <= -3.5"
    assert chosen.ranges == ranges
    assert Filter.from_ranges({"photons": (None, None)}) is None
    assert Filter.from_ranges({"x": (1, None), "z": (2, None)}, lengths_in="px").text == "x >= 1 px & z >= 2"
    assert Filter.of("Intensity >= 5 & z <= 2").ranges == {"photons": (5.0, None), "z_nm": (None, 2.0)}
    for expression in (
        "photons > 500",
        "photons >= 500 | x <= 3",
        "photons >= 5 & photons <= 9",
        "x <= 3 px",
        "x >= y",
    ):
        assert Filter.of(expression).ranges is None
    with pytest.raises(FilterError, match="finite"):
        Filter.from_ranges({"photons": (np.nan, None)})


def test_a_column_of_just_this_name_comes_before_an_alias():
    table = Localizations(
        {"frame": [4, 5], "y": [1, 1], "x": [2, 2], "sigma": [1.0, 1.2], "photons": [10, 20]},
        extra={"sy": [1.5, 9.0], "offset": [30.0, 3.0], "n": [7, 8]}, pixel_size_nm=100,
    )  # fmt: skip
    assert mask(table, "sy < 2").tolist() == [True, False]
    assert mask(table, "sx < 110").tolist() == [True, False]  # there is no column sx: sigma
    assert mask(table, "offset > photons").tolist() == [True, False]
    assert Filter.of(Filter.of("sy < 2").text).mask(table).tolist() == [True, False]
    assert mask(table.with_columns(n_frames=[8, 7]), "n > 7").tolist() == [False, True]
    assert Filter.of("sy < 2").columns == ("sy",)


def test_names_of_other_programs_are_those_of_ours():
    table = Localizations(
        {"frame": [4], "y": [1], "x": [2]}, extra={"n": [3], "uncertainty [nm]": [7.0]}, pixel_size_nm=100
    )
    assert mask(table, "n_frames == 3 & n == 3 & uncertainty_xy == 7 nm").all()
    assert "uncertainty" in names_in(TABLE)


def test_len_is_a_column_of_picasso_s_own():
    # Linked molecules of Picasso: detected in n frames, on for len.
    table = Localizations({"frame": [4], "y": [1], "x": [2], "n_frames": [3]}, extra={"len": [5]})
    assert mask(table, "n_frames == 3 & n == 3 & len == 5").all()


def test_the_expression_is_noted_in_the_provenance():
    kept = keep(keep(TABLE, "photons > 500"), "frame < 100")
    first, second = kept.provenance["filters"]
    assert first["keep"] == "photons > 500"
    assert second == {"keep": "frame < 100", "rows": first["kept"], "kept": len(kept)}
    assert (kept.pixel_size_nm, kept.n_frames, kept.columns) == (108, 300, TABLE.columns)


def test_rows_are_chosen_in_chunks_as_at_once(monkeypatch):
    whole = mask(TABLE, "photons > median(photons) & x < max(x) / 2")
    monkeypatch.setattr("napari_subpixel.analysis.conditions.CHUNK_ROWS", 37)
    np.testing.assert_array_equal(mask(TABLE, "photons > median(photons) & x < max(x) / 2"), whole)


@pytest.mark.parametrize("flavour", FLAVOURS, ids=lambda flavour: flavour.title)
def test_every_heading_of_a_text_table_is_a_name_in_quotes(flavour) -> None:
    ours = {name: [1.0] for column in flavour.columns for name in column.ours}
    table = Localizations(ours, pixel_size_nm=100)
    lengths = (Unit.POSITION_NM, Unit.LENGTH_NM, Unit.POSITION_PX, Unit.LENGTH_PX, Unit.DEPTH_NM)
    for column in flavour.columns:
        for heading in (column.name, *column.aliases):
            source = source_of(table, heading)
            assert set(source.columns) == set(column.ours)
            assert (source.unit == "nm") == (column.unit in lengths)
