"""The density filter against all distances, and where rows are many in one place or none."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.analysis.density import count_neighbours, keep_dense
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.localizations import Localizations


def table(n: int = 700, seed: int = 0) -> Localizations:
    rng = np.random.default_rng(seed)
    y, x = rng.uniform(0, 9, n), rng.uniform(0, 17, n)
    y[: n // 4], x[: n // 4] = rng.normal(4, 0.1, n // 4), rng.normal(3, 0.1, n // 4)
    return Localizations({"frame": np.arange(n), "y": y, "x": x}, pixel_size_nm=130)


@pytest.mark.parametrize("radius_nm", [20, 130, 5000])
def test_neighbours_are_counted_as_by_all_distances(radius_nm):
    rows = table()
    distance = np.linalg.norm(rows.yx[:, None] - rows.yx[None], axis=-1) * 130
    expected = (distance <= radius_nm).sum(axis=1) - 1
    np.testing.assert_array_equal(count_neighbours(rows, radius_nm), expected)
    np.testing.assert_array_equal(count_neighbours(rows, radius_nm, at_most=3), np.minimum(expected, 3))


def test_dense_rows_are_kept_and_the_choice_is_noted():
    rows = table()
    kept = keep_dense(rows, min_neighbours=20, radius_nm=60)
    assert 140 < len(kept) < 200
    assert kept.provenance["filters"] == [{"min_neighbours": 20, "radius_nm": 60.0, "rows": 700, "kept": len(kept)}]


def test_many_rows_in_one_place_and_none_at_all():
    n = 200_000
    rows = Localizations({"frame": np.zeros(n), "y": np.ones(n), "x": np.ones(n)}, pixel_size_nm=100)
    assert len(keep_dense(rows, min_neighbours=5, radius_nm=1)) == n
    assert len(keep_dense(rows[:0], min_neighbours=5, radius_nm=1)) == 0
    assert len(keep_dense(rows[:1], min_neighbours=1, radius_nm=1)) == 0
    far = Localizations({"frame": [0, 0, 0], "y": [0, 1e9, 1e9], "x": [0, -1e9, -1e9]}, pixel_size_nm=100)
    assert count_neighbours(far, 1e-3).tolist() == [0, 1, 1]


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="radius must be positive"):
        count_neighbours(table(), 0)
    with pytest.raises(InputError, match="least number of neighbours"):
        keep_dense(table(), min_neighbours=-1, radius_nm=5)
    with pytest.raises(PixelSizeError):
        count_neighbours(table().with_about(pixel_size_nm=None), 5)
