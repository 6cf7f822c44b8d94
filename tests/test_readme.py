"""The README's code runs as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from napari_subpixel.cli import main

#: Figures in a row of the README's table.
NAMES = ("jaccard_25_nm", "f1_25_nm", "jaccard_50_nm", "f1_50_nm", "jaccard_50_nm_greedy")
README = Path(__file__).resolve().parents[1] / "README.md"


@pytest.fixture
def section():
    """Return the code blocks of a language under a heading of the README."""
    if not README.exists():
        pytest.skip("the README is not next to the tests")

    def blocks(heading: str, language: str) -> list[str]:
        text = README.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
        return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)

    return blocks


def test_the_ten_lines_of_python_run_and_score(section, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = section("In Python", "python")
    exec(compile(code, str(README), "exec"), {"__name__": "readme"})
    assert {"found.csv", "found.tif"} <= {p.name for p in tmp_path.iterdir()}
    scores = re.findall(r"Jaccard (0\.\d+)", capsys.readouterr().out)
    assert len(scores) == 3
    assert 0.2 < float(scores[1]) < 1


@pytest.mark.parametrize("n_frames", ["12", pytest.param("200", marks=pytest.mark.slow)])
def test_the_commands_run(section, tmp_path, monkeypatch, n_frames):
    """Of fewer frames than the README's, but in its slow form."""
    monkeypatch.chdir(tmp_path)
    (block,) = section("On the command line", "sh")
    assert "--frames 200" in block
    block = block.replace("--frames 200", f"--frames {n_frames}")
    commands = [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]
    assert [c[:2] for c in commands] == [["napari-subpixel", c] for c in
                                         ("simulate", "detect", "render", "evaluate", "models")]  # fmt: skip
    for command in commands:
        assert main(command[1:]) == 0, command
    assert {"movie.tif", "truth.csv", "found.csv", "found.tif", "found.png"} <= {p.name for p in tmp_path.iterdir()}


@pytest.mark.parametrize(("model", "movie"), [("paper", ""), ("default", "test_"), ("fast", "test_")])
def test_the_figures_are_those_of_the_models_card(model, movie):
    from napari_subpixel.models import find, read_card

    text = README.read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if f"`{model}`, as shipped here" in line)
    quoted = [float(cell) for cell in re.findall(r"\*\*(0\.\d+)\*\*", row)]
    figures = read_card(find(model)).figures
    assert quoted == [figures[movie + name] for name in NAMES]


def test_the_figures_on_sparser_movies_are_those_of_the_card():
    from napari_subpixel.models import find, read_card

    text, figures = README.read_text(encoding="utf-8"), read_card(find("default")).figures
    ld, md, hd = (figures[f"validate_{density}_jaccard_50_nm"] for density in ("ld", "md", "hd"))
    assert f"of {ld:.3f}, {md:.3f} and {hd:.3f}" in " ".join(text.split())


def test_the_greedy_figure_below_the_published_one_is_said():
    from napari_subpixel.models import find, read_card

    greedy = read_card(find("paper")).figures["jaccard_50_nm_greedy"]
    text = " ".join(README.read_text(encoding="utf-8").split())
    assert greedy < 0.517
    assert f"reaches {greedy:.3f} at 50 nm, below the published 0.517" in text
