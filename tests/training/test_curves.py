"""The curves of a training are those of its log."""

from __future__ import annotations

import pytest

from napari_subpixel.errors import InputError
from napari_subpixel.training.curves import figure_of_curves, plot_curves, read_log

HEAD = "iteration,localization_loss,count_loss,jaccard,seconds\n"


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(HEAD + "100,5.5,2,,10\n200,4.5,1.5,0.6,20\n300,4,1.2,,30\n400,3.5,1,0.7,120\n")
    return path


def test_every_column_is_drawn_where_it_was_measured(log):
    parts = figure_of_curves(log).axes
    assert [axes.get_ylabel().split("\n")[0] for axes in parts] == ["localization", "count", "Jaccard index,"]
    lines = [axes.lines[0].get_xydata().tolist() for axes in parts]
    assert lines[0] == [[100, 5.5], [200, 4.5], [300, 4], [400, 3.5]]
    assert lines[2] == [[200, 0.6], [400, 0.7]]
    assert parts[2].get_xlabel() == "iteration (2.0 min in all)"


def test_what_was_never_measured_has_no_axes(log):
    log.write_text(HEAD + "100,5.5,2,,10\n")
    assert len(figure_of_curves(log).axes) == 2


def test_the_picture_is_written_and_not_over_another(log, tmp_path):
    plot_curves(log, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="exists already"):
        plot_curves(log, tmp_path / "curves.png")
    plot_curves(log, tmp_path / "curves.png", overwrite=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "not the log|no rows"), (HEAD, "no rows yet"), ("a,b\n1,2\n", "expected the columns iteration"),
     (HEAD + "1,x,2,3,4\n", "not the log of a training")],
)  # fmt: skip
def test_what_is_no_log_is_refused(log, text, message):
    log.write_text(text)
    with pytest.raises(InputError, match=message):
        read_log(log)


def test_a_log_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone.csv: No such file"):
        read_log(tmp_path / "gone.csv")
