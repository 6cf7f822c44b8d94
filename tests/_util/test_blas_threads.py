"""Linear algebra uses one thread for a while, and as many as before afterwards."""

from __future__ import annotations

import numpy as np

from napari_subpixel._util.blas_threads import _libraries, one_blas_thread


def test_one_thread_inside_and_as_many_as_before_outside():
    before = [get_threads() for get_threads, _ in _libraries()]
    with one_blas_thread():
        assert [get_threads() for get_threads, _ in _libraries()] == [1] * len(before)
        assert np.linalg.solve(2 * np.eye(3), np.ones(3)).tolist() == [0.5] * 3
    assert [get_threads() for get_threads, _ in _libraries()] == before
