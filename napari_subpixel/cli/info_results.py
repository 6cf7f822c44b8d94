"""What the csv files that are no tables of localizations are: traces of drift, and on and off times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_subpixel.errors import InputError


def describe_result(path: Path) -> dict[str, Any] | None:
    """Return what a csv is that `drift` or `link` writes besides a table, with its numbers; None for any other file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If it is one of them, and damaged.
    """
    from napari_subpixel.formats.recognition import TIMES, TRACE, result_of
    from napari_subpixel.formats.text_table import look

    if path.suffix.lower() != ".csv":
        return None
    kind = result_of(look(path).header)
    if kind not in (TRACE, TIMES):
        return None
    return {"file": str(path), "kind": kind, **(_trace(path) if kind == TRACE else _times(path))}


def _trace(path: Path) -> dict[str, Any]:
    import numpy as np

    from napari_subpixel.analysis.drift_curve import DriftCurve

    curve = DriftCurve.read(path)
    y, x = curve.extent_nm
    errors = np.concatenate([curve.x_error_nm, curve.y_error_nm])
    return {
        "frames": len(curve),
        "frames_with_rows": [list(stretch) for stretch in curve.stretches] or None,
        "x_extent_nm": x,
        "y_extent_nm": y,
        "z_extent_nm": None if curve.z_nm is None or not len(curve) else float(np.ptp(curve.z_nm)),
        "median_error_nm": float(np.median(errors)) if len(errors) else None,
        "largest_error_nm": float(errors.max()) if len(errors) else None,
        "jumps": list(curve.jumps) or None,
        "source": dict(curve.source),
    }


def _times(path: Path) -> dict[str, Any]:
    import pandas as pd

    try:
        times = pd.read_csv(path).astype(float)
    except ValueError as error:
        raise InputError(f"{path}: not on and off times: {' '.join(str(error).split())}") from None
    ranges = {name.replace("_", " "): times[name].dropna() for name in times.columns}
    return {
        "molecules": len(times),
        "values": {
            name: {"minimum": float(of.min()), "median": float(of.median()), "maximum": float(of.max())}
            for name, of in ranges.items()
            if len(of)
        },
    }
