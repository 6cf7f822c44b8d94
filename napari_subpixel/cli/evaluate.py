"""``napari-subpixel evaluate``: a result and its truth in, scores out."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel.cli.common import (
    ORIGIN_HELP,
    UNITS_HELP,
    add_table_arguments,
    frame_range,
    origin,
    read_table,
    reading_from,
    region,
    shape,
    units,
)
from napari_subpixel.cli.filtering import add_keep_argument, kept_rows
from napari_subpixel.cli.messages import say, warn
from napari_subpixel.cli.record_flags import pixel_size
from napari_subpixel.errors import PixelSizeError
from napari_subpixel.evaluation.matching import PAIRINGS

if TYPE_CHECKING:
    from napari_subpixel.evaluation.scores import Evaluation, Match
    from napari_subpixel.localizations import Localizations

#: Files in nm alone can be compared at any pixel size: they are read and scored with the same one.
NOMINAL_PIXEL_SIZE_NM = 100.0


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("evaluate")
    parser.add_argument("localizations", type=Path, metavar="LOCS", help="the result")
    parser.add_argument("truth", type=Path, metavar="TRUTH", help="the ground truth")
    parser.add_argument(
        "--tolerance-nm",
        type=float,
        action="append",
        metavar="NM",
        help="largest distance of a pair; may be given several times (25 and 50)",
    )
    parser.add_argument(
        "--frames", type=frame_range, metavar="A:B", help="some frames: from 0, B excluded (those that were detected)"
    )
    parser.add_argument(
        "--roi", type=region, metavar="Y0:Y1,X0:X1", help="a region, in pixels, ends excluded (the one detected)"
    )
    parser.add_argument(
        "--border-nm",
        type=float,
        default=0.0,
        metavar="NM",
        help="leave out points this near to the frame's edge (0; the SMLM challenge: 450)",
    )
    parser.add_argument(
        "--pairing",
        choices=PAIRINGS,
        default="optimal",
        help="optimal: the most pairs, then the least total distance (default); greedy: all within the tolerance, "
        "shortest first, as in the SMLM challenge",
    )
    parser.add_argument("--remove-offset", action="store_true", help="subtract a constant offset before matching")
    parser.add_argument(
        "--pixel-size-nm", type=pixel_size, metavar="NM", help="of the camera, or height,width, where no file says it"
    )
    parser.add_argument(
        "--shape-px", type=shape, metavar="H,W", help="of the frames, for the border, where no file says it"
    )
    add_table_arguments(parser, "LOCS")
    add_keep_argument(parser, "LOCS")
    parser.add_argument("--truth-origin", type=origin, metavar="NAME|CENTRE,FRAME", help=ORIGIN_HELP.format("TRUTH"))
    parser.add_argument("--truth-units", type=units, metavar="UNIT", help=UNITS_HELP.format("TRUTH"))
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Score and print."""
    from napari_subpixel.evaluation.evaluate import evaluate

    found, truth = _tables(arguments)
    found = kept_rows(found, arguments.keep, arguments.localizations)
    result = evaluate(
        found,
        truth,
        tuple(arguments.tolerance_nm or (25.0, 50.0)),
        frames=arguments.frames,
        roi=arguments.roi,
        border_nm=arguments.border_nm,
        remove_offset=arguments.remove_offset,
        pairing=arguments.pairing,
        frame_shape=arguments.shape_px,
    )
    if arguments.json:
        print(json.dumps(result.to_dict(), indent=1, allow_nan=False))
    else:
        print(score_table(result))
    for note in _defaults(arguments, found, result):
        say(f"note: {note}")
    for path, table, rows in ((arguments.localizations, found, "points"), (arguments.truth, truth, "molecules")):
        if not len(table):
            warn(f"{path}: no rows: there are no {rows} to pair")
    for warning in result.warnings:
        warn(warning)
    return 0


def _defaults(arguments: argparse.Namespace, found: Localizations, result: Evaluation) -> Iterator[str]:
    """Say which part was scored because only that was detected."""
    from napari_subpixel.evaluation.coverage import describe_region, detected_frames

    if arguments.frames is None and result.frames is not None and detected_frames(found) is not None:
        start, stop = result.frames
        yield f"frames {start} to {stop - 1 if stop else 'the last'} are scored, which were detected (--frames)"
    if arguments.roi is None and result.roi is not None:
        yield f"{describe_region(result.roi)} is scored, which was detected (--roi)"


def score_table(result: Evaluation) -> str:
    """Return the scores as lines of text, one for each tolerance, and a line on other errors that can be measured."""
    lines = [
        "tolerance [nm]  Jaccard     F1  precision  recall  RMSE [nm]  offset y, x [nm]  efficiency"
        "      TP      FP      FN"
    ]
    for m in result:
        dy, dx = m.mean_offset_nm
        lines.append(
            f"{m.tolerance_nm:14g}  {m.jaccard:7.3f}  {m.f1:5.3f}  {m.precision:9.3f}  {m.recall:6.3f}  "
            f"{m.rmse_nm:9.1f}  {dy:+7.1f}, {dx:+7.1f}  {m.efficiency:10.1f}  "
            f"{m.true_positives:6d}  {m.false_positives:6d}  {m.false_negatives:6d}"
        )
    errors = _described_errors(max(result, key=lambda m: m.tolerance_nm))
    return "\n".join([*lines, errors] if errors else lines)


def _described_errors(match: Match) -> str:
    """Return the errors of photons, uncertainties and probabilities, of those that the tables have."""
    words = []
    if not math.isnan(match.photon_ratio):
        words.append(f"photons / true {match.photon_ratio:.2f} (spread {match.photon_ratio_spread:.2f})")
    if not math.isnan(match.error_over_uncertainty):
        plain, robust = match.error_over_uncertainty, match.robust_error_over_uncertainty
        words.append(f"error / uncertainty {plain:.2f} (robust {robust:.2f})")
    if not math.isnan(match.calibration_error):
        words.append(f"calibration error of probabilities {match.calibration_error:.3f}")
    return f"within {match.tolerance_nm:g} nm: {', '.join(words)}" if words else ""


def _tables(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """Read both tables; one that does not say its pixel size takes that of the other."""

    def read(path: Path, size: float | None) -> Localizations:
        is_truth = path == arguments.truth
        of_truth = {"origin": arguments.truth_origin, "units": arguments.truth_units} if is_truth else {}
        return read_table(path, pixel_size_nm=size, **reading_from(arguments) | of_truth)

    tables: dict[Path, Localizations] = {}
    size = arguments.pixel_size_nm
    for path in (arguments.localizations, arguments.truth):
        try:
            tables[path] = read(path, size)
        except PixelSizeError:
            continue
    known = [size, *(table.pixel_size_nm for table in tables.values())]
    if arguments.border_nm and not any(known):
        raise PixelSizeError("a border needs the pixel size, which neither file says")
    if tables and not any(known):
        raise PixelSizeError("one file is in pixels and neither says how wide they are")
    size = next((value for value in known if value), NOMINAL_PIXEL_SIZE_NM)
    found, truth = (
        tables[path] if path in tables else read(path, size) for path in (arguments.localizations, arguments.truth)
    )
    return found, truth
