"""``detect --drop-static``: what never moves is left out, and a run like it, or resumed, does the same."""

from __future__ import annotations

import numpy as np

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.psf import draw_gaussians
from napari_subpixel.stacks.writing import write_movie

GIVEN = ("--model", "fast", "--baseline", 100, "--electrons-per-adu", 0.5, "--psf-sigma-nm", 130)


def test_a_bead_is_reported_and_left_out(run, refuse, tmp_path):
    rng = np.random.default_rng(6)
    n = 80
    molecules = draw_gaussians((40, 48, 64), rng.integers(0, 40, n), *rng.uniform(3, (44, 60), (n, 2)).T,
                               np.full(n, 1500.0), 1.3)  # fmt: skip
    bead = draw_gaussians((1, 48, 64), [0], [20.2], [30.4], [6000.0], 1.3)
    frames = Camera(100.0, 100.0, 0.5).expose(molecules + bead + 20, rng)
    movie = tmp_path / "cell.tif"
    write_movie(movie, [frames], shape=frames.shape, pixel_size_nm=100)

    _, _, err = run("detect", movie, "-o", tmp_path / "all.csv", *GIVEN)
    (warning,) = (line for line in err.splitlines() if "never move: most frames have one at y 20, x 30" in line)
    assert warning.endswith("; --drop-static leaves them out")
    _, _, err = run("detect", movie, "-o", tmp_path / "kept.csv", *GIVEN, "--drop-static")
    assert "never move, and are left out: most frames have one at y 20, x 30" in err
    every, kept = formats.read(tmp_path / "all.csv"), formats.read(tmp_path / "kept.csv")
    assert len(every) - len(kept) == every.provenance["static_points"]["number"] >= 38
    assert f"{len(kept):,} molecules" in err.splitlines()[-1]
    assert not (np.hypot(kept.y - 20.2, kept.x - 30.4) < 1).any()

    run("detect", movie, "-o", tmp_path / "again.csv", "--like", tmp_path / "kept.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "kept.csv").read_bytes()
    why = refuse("detect", movie, "-o", tmp_path / "kept.csv", *GIVEN, "--resume")
    assert "made with another treatment of points that never move (left out, now kept)" in why
    _, _, err = run("detect", movie, "-o", tmp_path / "live.csv", *GIVEN, "--drop-static", "--follow", 1)
    assert len(formats.read(tmp_path / "live.csv")) == len(kept)
