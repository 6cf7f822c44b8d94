"""A finished table compared with the settings of the run that would skip it, by its provenance."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel import __version__, formats
from napari_subpixel.camera import GAIN
from napari_subpixel.errors import ChangedTableError, InputError

if TYPE_CHECKING:
    from napari_subpixel.detection.detector import Detector
    from napari_subpixel.detection.options import DetectionOptions

#: Entries of a provenance's camera that do not change what is detected.
NAMES = ("name",)


def check_same_settings(table: Path, detector: Detector, options: DetectionOptions) -> bool:
    """Raise an error if a finished table was made with other settings than these.

    What was estimated from the movie is not compared, nor is the movie itself.

    Parameters
    ----------
    table : Path
        Finished table.
    detector : Detector
    options : DetectionOptions
        What the table would be made with now.

    Returns
    -------
    bool
        Whether it could be compared: a table of another program, or one whose description is gone, cannot.

    Raises
    ------
    ChangedTableError
        If a setting differs; the message names the first one, with both values.
    """
    try:
        about = formats.read_about(table)
    except InputError:
        return False
    provenance = about.get("provenance") or {}
    if "threshold" not in provenance or "model" not in provenance:
        return False
    for what, before, now in _compared(provenance, about, detector, options):
        if before != now:
            raise ChangedTableError(
                f"{table}: is there already, made with another {what} ({_shown(before)}, now {_shown(now)})", table
            )
    return True


def _compared(
    provenance: Mapping[str, Any], about: Mapping[str, Any], detector: Detector, options: DetectionOptions
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name, the value before and the value now of every setting that can be compared."""
    yield "version of the program", provenance.get("program"), f"napari-subpixel {__version__}"
    yield from ((name, provenance.get(name), value) for name, value in _plain(detector.provenance).items())
    yield "series", provenance.get("series"), options.series
    yield "channel", provenance.get("channel"), options.channel
    yield "region", provenance.get("roi"), _plain(options.roi)
    if about.get("n_frames") is not None and "frames" in provenance:
        yield "range of frames", provenance["frames"], list(options.span(about["n_frames"]))
    before = {name: value for name, value in (provenance.get("camera") or {}).items() if name not in NAMES}
    now = {name: value for name, value in _plain(options.camera.summary()).items() if name not in NAMES}
    if provenance.get("assumed"):  # what was estimated then, and is not given now, is estimated again
        was_estimated = str((provenance.get("camera") or {}).get("name", "")).startswith(("estimated", "assumed"))
        compared = {*now, *(() if was_estimated else GAIN)}
        before = {name: value for name, value in before.items() if name in compared}
    yield "camera", before, now
    dropped = bool((provenance.get("static_points") or {}).get("dropped"))
    yield "treatment of points that never move", _treatment(dropped), _treatment(options.drop_static)
    yield "choice of bad pixels", *_bad_pixels(provenance.get("bad_pixels"), about, options)
    if options.molecule_photons is not None and "molecule_photons" in provenance:
        yield "brightness of a molecule", provenance["molecule_photons"], options.molecule_photons
    size, sigma_px = about.get("pixel_size_nm"), provenance.get("sigma_px")
    if options.psf is not None and size is not None and sigma_px is not None:
        given = options.psf.sigma_px(size)
        yield "width of the PSF", sigma_px, sigma_px if math.isclose(given, sigma_px, rel_tol=1e-6) else given


def _treatment(drop: bool) -> str:
    return "left out" if drop else "kept"


def _bad_pixels(
    before: Mapping[str, Any] | None, about: Mapping[str, Any], options: DetectionOptions
) -> tuple[Any, Any]:
    """Return where bad pixels came from before, and come from now; where both times they were given, which they are."""
    was = before.get("source") if before else "movie"
    shape = about.get("frame_shape")
    given = options.given_bad_pixels(tuple(shape)) if shape else None
    if before and given is not None and was == given.source == "given":
        return before, _plain(given.summary)
    return was, "movie" if options.bad_pixels is True else "kept" if options.bad_pixels is False else "given"


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=float))


def _shown(value: Any) -> str:
    """Return a setting as text: a model by its name and the beginning of its hash."""
    if isinstance(value, Mapping) and "sha256" in value:
        return f"{value.get('name')} {str(value['sha256'])[:8]}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items()) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
