"""Reports and figures: what they show, what they leave out and say so, and that they are the same each time."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel.analysis.filters import Filter
from napari_subpixel.analysis.resolution import resolution
from napari_subpixel.errors import InputError, OutputExistsError, PixelSizeError
from napari_subpixel.localizations import Localizations, concat
from napari_subpixel.rendering.image_files import preview_png, save_preview
from napari_subpixel.rendering.render import render
from napari_subpixel.reports.charts import Bars, Chart, Line, Mark, round_ticks
from napari_subpixel.reports.contents import Contents
from napari_subpixel.reports.page import page, write_report
from napari_subpixel.runs.figure import FILES, figure, image_of
from napari_subpixel.runs.figure import _kept as kept_in_figure

TODAY = datetime.date(2026, 2, 3)


def drifting(n_molecules: int = 800, *, n_frames: int = 1000, drift_nm: float = 80.0) -> Localizations:
    """Molecules on sites that are visited again, in a sample that drifts along x."""
    rng = np.random.default_rng(7)
    sites = rng.uniform(5, 45, (150, 2))
    place = np.repeat(sites[rng.integers(len(sites), size=n_molecules)], 3, axis=0)
    frame = np.repeat(rng.integers(0, n_frames - 3, n_molecules), 3) + np.tile(np.arange(3), n_molecules)
    yx = place + rng.normal(0, 0.1, place.shape)
    yx[:, 1] += drift_nm / 100 * frame / n_frames
    n = len(frame)
    columns = {"frame": frame, "y": yx[:, 0], "x": yx[:, 1], "photons": rng.uniform(500, 900, n)}
    columns |= {f"{axis}_uncertainty": np.where(np.arange(n) % 50, rng.uniform(0.095, 0.105, n), 0.9) for axis in "yx"}
    return Localizations(columns, pixel_size_nm=100, frame_shape=(50, 50), n_frames=n_frames)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    folder = tmp_path_factory.mktemp("figure")
    return figure(drifting(), folder, name="<b>m</b>.tif", command="napari-subpixel figure"), folder


# -- figures ------------------------------------------------------------------------------------------------------


def test_a_figure_has_all_its_steps_and_files(made) -> None:
    result, folder = made
    contents = result.contents
    assert set(contents.steps) == {"detection", "drift", "filter", "resolution", "linking", "image"}
    assert not contents.skipped
    assert {path.name for path in result.files} == set(FILES.values())
    assert contents.drift.extent_nm[1] == pytest.approx(80, rel=0.25)
    assert contents.resolution.nena.nena_nm == pytest.approx(10, rel=0.08)
    assert 650 < len(contents.linked.molecules) < 950
    # Rows of nine times the uncertainty of most are left out.
    assert len(contents.table) == 2400 * 49 // 50
    assert len(formats.read(folder / FILES["molecules"], pixel_size_nm=100)) == len(contents.linked.molecules)


def test_a_figure_follows_beads_and_leaves_them_out_of_its_resolution(tmp_path) -> None:
    table, rng = drifting(200), np.random.default_rng(3)
    frame, sigma = np.arange(1000), np.full(1000, 0.05)
    columns = {"frame": frame, "y": 25 + rng.normal(0, 0.05, 1000), "x": 9 + 0.8e-3 * frame + rng.normal(0, 0.05, 1000)}
    columns |= {"photons": np.full(1000, 1e4), "y_uncertainty": sigma, "x_uncertainty": sigma}
    both = concat([table, Localizations(columns, **table.about)])
    contents = figure(both, tmp_path, name="m", fiducials=True).contents
    assert contents.drift.method == "fiducials"
    assert contents.drift.extent_nm[1] == pytest.approx(80, rel=0.1)
    assert contents.resolution.to_dict()["n_bead_localizations"] == 1000
    assert "as beads do" in (tmp_path / FILES["report"]).read_text(encoding="utf-8")
    assert "no fiducial" in figure(table, tmp_path / "none", name="m", fiducials=True).contents.skipped["drift"]


def test_a_figure_made_again_is_the_same(made, tmp_path) -> None:
    _, folder = made
    steps = list(figure.steps(drifting(), tmp_path, name="<b>m</b>.tif", command="napari-subpixel figure"))
    assert list(dict.fromkeys(steps)) == ["drift", "filter", "resolution", "linking", "image", "report"]
    assert min(steps.count("drift"), steps.count("resolution")) > 3  # it can be ended during these
    for name in FILES.values():
        first, again = (where.joinpath(name).read_bytes() for where in (folder, tmp_path))
        if name == FILES["report"]:
            first, again = (re.sub(rb"<time>.*?</time>", b"", text) for text in (first, again))
        assert first == again, name


def test_a_figure_replaces_nothing_unless_asked(made) -> None:
    _, folder = made
    with pytest.raises(OutputExistsError, match=r"localizations\.csv: exists already"):
        figure(drifting(60), folder, name="m")


@pytest.mark.parametrize("n_rows", [0, 1, 40])
def test_a_movie_of_few_molecules_has_a_figure_that_says_what_was_left_out(tmp_path, n_rows) -> None:
    contents = figure(drifting()[:n_rows], tmp_path, name="few.tif").contents
    assert "drift" in contents.skipped
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"left out: {contents.skipped['drift'][:20]}" in text
    assert (tmp_path / "localizations.csv").exists()


def test_a_figure_made_anew_leaves_no_file_of_the_one_before(tmp_path) -> None:
    figure(drifting(), tmp_path, name="m")
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    few = figure(drifting()[:0], tmp_path, name="m", overwrite=True)
    names = {path.name for path in tmp_path.iterdir()}
    assert not {"molecules.csv", "molecules-protocol.txt", "drift.csv"} & names
    assert {path.name for path in few.files} | {"notes.txt", "localizations-protocol.txt"} == names


@pytest.mark.parametrize(("median", "n_kept"), [(np.nan, 6), (1e-5, 5)])
def test_rows_are_kept_where_uncertainties_are_missing_or_tiny(median, n_kept) -> None:
    columns = {"frame": np.arange(6), "y": np.ones(6), "x": np.ones(6)}
    columns |= {f"{axis}_uncertainty": np.array([100 * median] + [median] * 5) for axis in "yx"}
    steps: dict[str, str] = {}
    kept, _ = kept_in_figure(Localizations(columns, pixel_size_nm=100, frame_shape=(50, 50)), None, steps)
    assert len(kept) == n_kept
    assert ("filter" in steps) == (n_kept < 6)


def test_a_report_draws_the_region_that_was_detected() -> None:
    table = drifting().with_about(provenance={"roi": [[10, 40], [5, 25]]})
    steps: dict[str, str] = {}
    image = image_of(table, steps, {})
    assert image is not None
    assert image.image.shape == (300, 200)
    assert image.n_outside > 0
    assert "rows outside the region left out" in steps["image"]


def test_few_points_are_as_wide_in_a_report_as_in_a_preview(tmp_path) -> None:
    import imagecodecs

    rendered = render(drifting(2), pixel_size_nm=5)
    save_preview(tmp_path / "a.png", rendered)
    png, _ = preview_png(rendered)
    np.testing.assert_array_equal(
        imagecodecs.png_decode(png), imagecodecs.png_decode((tmp_path / "a.png").read_bytes())
    )


def test_a_figure_takes_another_filter(tmp_path) -> None:
    contents = figure(drifting(), tmp_path, name="m", keep=Filter.of("photons > 700")).contents
    assert contents.table["photons"].min() > 700
    assert "photons > 700" in contents.steps["filter"]


def test_a_figure_needs_the_pixel_size(tmp_path) -> None:
    with pytest.raises(PixelSizeError):
        figure(drifting().with_about(pixel_size_nm=None), tmp_path, name="m")


# -- pages --------------------------------------------------------------------------------------------------------


def test_a_page_needs_no_other_file_and_shows_every_part(made) -> None:
    result, folder = made
    text = (folder / "report.html").read_text(encoding="utf-8")
    links = set(re.findall(r'(?:src|href)="([^"]{0,30})', text))
    assert all(link.startswith("data:image/png;base64,") for link in links)
    assert "<script" not in text
    assert "<h1>&lt;b&gt;m&lt;/b&gt;.tif</h1>" in text
    titles = "molecules a frame", "photons", "uncertainty", "density", "rows of a molecule", "drift", "NeNA", "Fourier"
    for title in titles:
        assert f'class="title" x="64" y="18">{title}' in text
    assert "localizations per µm²" in text
    assert "napari-subpixel figure" in text
    assert f"{len(result.contents.table):,}" in text
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text).lower().replace("napari", "")


def test_the_same_contents_give_the_same_page() -> None:
    table = drifting(200)
    pages = [
        page(Contents("t", table, resolution=resolution(table), image=render(table, pixel_size_nm=20)), TODAY)
        for _ in range(2)
    ]
    assert pages[0] == pages[1]
    assert "<time>2026-02-03</time>" in pages[0]


def test_settings_and_warnings_are_escaped() -> None:
    settings = {"camera": {"name": "<x>", "gain": 0.123456789}, "warnings": ["a < b"]}
    contents = Contents("t", drifting(50), warnings=("a < b",), settings=settings)
    text = page(contents, TODAY)
    assert "<li>a &lt; b</li>" in text
    assert "<th>camera, name</th><td>&lt;x&gt;</td>" in text
    assert "<td>0.123457</td>" in text
    assert text.count("a &lt; b") == 1


def test_a_report_is_html(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.html"):
        write_report(tmp_path / "report.pdf", Contents("t", drifting(50)))


# -- charts -------------------------------------------------------------------------------------------------------


def test_a_chart_puts_numbers_where_they_belong() -> None:
    svg = Chart("t", "x", "y", [Line([0, 10], [0, 5]), Mark(5)], x_range=(0, 10), y_range=(0, 5)).svg()
    assert "M64.0 246.0 444.0 30.0" in svg
    assert "M254.0 30V246" in svg


@pytest.mark.parametrize("parts", [[], [Bars([0, 1], [0])], [Line([3], [7])], [Line([0, 1], [np.nan, np.nan])]])
def test_a_chart_of_hardly_anything_is_still_one(parts) -> None:
    svg = Chart("t", "x", "y", parts).svg()
    assert svg.startswith("<svg") and svg.endswith("</svg>")  # noqa: PT018
    assert "nan" not in svg


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3e-5, 7e-5), (17, 17.5), (0, 123456)])
def test_ticks_are_a_few_round_numbers_within(low, high) -> None:
    ticks = round_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert low - 1e-9 <= ticks[0] < ticks[-1] <= high + 1e-9


def test_settings_are_shown_in_words() -> None:
    settings = {"roi": None, "frames": [0, 40], "filters": [{"keep": "photons > 500", "rows": 90}]}
    settings |= {"spots_round": False, "assumed": ["PSF from the movie", "camera from the movie"]}
    text = page(Contents("m", drifting(2), settings=settings), datetime.date(2026, 1, 1))
    rows = dict(re.findall(r"<tr><th>(.*?)</th><td>(.*?)</td></tr>", text))
    assert rows["roi"] == "none"
    assert rows["frames"] == "0, 40"
    assert rows["filters"] == "keep photons &gt; 500, rows 90"
    assert rows["spots_round"] == "no"
    assert rows["assumed"] == "PSF from the movie; camera from the movie"
