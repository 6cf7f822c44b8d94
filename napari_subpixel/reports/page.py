"""The page of a report: one HTML file that needs no other."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from napari_subpixel._util.files import atomic_output, check_can_write
from napari_subpixel._util.words import settings_in_words
from napari_subpixel.errors import InputError
from napari_subpixel.reports.charts import value_text
from napari_subpixel.reports.contents import Contents, versions
from napari_subpixel.reports.pictures import picture
from napari_subpixel.reports.plots import plots

STYLE = """
:root{color-scheme:light}
body{font:15px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;color:#202124;background:#fff;
margin:0 auto;max-width:980px;padding:28px 22px 60px}
h1{font-size:26px;margin:0 0 2px;overflow-wrap:anywhere}h2{font-size:18px;margin:34px 0 10px;
border-bottom:1px solid #dadce0;padding-bottom:4px}
.about{color:#5f6368;margin:0 0 18px}
.numbers{display:grid;grid-template-columns:repeat(auto-fill,minmax(200px,1fr));gap:12px}
.numbers div{border:1px solid #dadce0;border-radius:8px;padding:10px 12px}
.numbers b{display:block;font-size:19px;white-space:nowrap;font-variant-numeric:tabular-nums}
.numbers span{color:#5f6368;font-size:13px;display:block;line-height:1.35}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(400px,100%),1fr));gap:14px 20px}
svg{width:100%;height:auto;display:block}
svg text{font:11px system-ui,"Segoe UI",Roboto,Arial,sans-serif;fill:#3c4043}
svg text.title{font-size:13px;font-weight:600;fill:#202124}
svg text.key{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}
svg.picture text{font-size:13px}svg.picture text.scale{font-size:15px;fill:#fff}
table{border-collapse:collapse;width:100%;font-size:14px}
td,th{text-align:left;vertical-align:top;padding:4px 10px 4px 0;border-bottom:1px solid #eee}
th{font-weight:600;white-space:nowrap;width:1%}td{overflow-wrap:anywhere}
.warnings li{margin:4px 0}.warnings{background:#fef7e0;border:1px solid #f9d976;border-radius:8px;
padding:8px 14px 8px 32px;margin:0}
pre{background:#f6f8fa;border-radius:8px;padding:12px;white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px}
@media (max-width:640px){body{padding:18px 14px 40px}h1{font-size:21px}.numbers{grid-template-columns:1fr 1fr}
svg.picture text{font-size:20px}svg.picture text.scale{font-size:24px}}
@media print{body{max-width:none}h2,svg,.numbers div{break-inside:avoid}}
"""


def check_report_output(path: str | Path, *, overwrite: bool) -> None:
    """Raise `InputError` unless a report may and can be written there."""
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: a report's name must end in .html")
    check_can_write(path, overwrite=overwrite)


def write_report(path: str | Path, contents: Contents, *, overwrite: bool = False) -> None:
    """Write a report as one HTML file.

    Parameters
    ----------
    path : path-like
        Ends in .html.
    contents : Contents
        What it shows.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists, has another suffix, or cannot be written.
    """
    check_report_output(path, overwrite=overwrite)
    with atomic_output(path) as draft:
        draft.write_text(page(contents, datetime.date.today()), encoding="utf-8")


def page(contents: Contents, date: datetime.date) -> str:
    """Return the page; the same contents give the same text, but for the date.

    Parameters
    ----------
    contents : Contents
    date : date
        Of today.
    """
    name = escape(contents.name)
    sections = [
        f"<h1>{name}</h1>",
        f'<p class="about">napari-subpixel {versions()["napari-subpixel"]}, <time>{date.isoformat()}</time></p>',
        _numbers(contents),
        _warnings(contents.warnings),
    ]
    if contents.image is not None:
        pixel = f"{contents.image.grid.pixel_size_nm:g} nm"
        sections += [_heading("Image"), f"<figure style='margin:0'>{picture(contents.image)}</figure>"]
        sections.append(f'<p class="about">Pixels of {pixel}, {len(contents.table):,} localizations.</p>')
    if shown := list(plots(contents)):
        sections += [_heading("Plots"), f'<div class="plots">{"".join(f"<div>{svg}</div>" for svg in shown)}</div>']
    if contents.steps or contents.skipped:
        left_out = {step: f"left out: {why}" for step, why in contents.skipped.items()}
        sections += [_heading("What was done"), _table({**contents.steps, **left_out})]
    # The detection's warnings are among those above.
    settings = {name: value for name, value in contents.settings.items() if name != "warnings"}
    sections += [_heading("Settings"), _table(settings_in_words(settings)), _heading("Versions"), _table(versions())]
    if contents.command:
        sections += [_heading("To repeat it"), f"<pre>{escape(contents.command)}</pre>"]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{name}</title>'
    return f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head><body>\n' + "\n".join(
        section for section in sections if section
    ) + "\n</body></html>\n"  # fmt: skip


def _heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


def _numbers(contents: Contents) -> str:
    tiles = [
        (f"{len(contents.table):,}", "localizations"),
        (f"{contents.n_frames:,}", "frames"),
    ]
    if contents.linked is not None:
        n_beads = int(contents.linked.is_bead.sum())
        tiles.append((f"{len(contents.linked.molecules) - n_beads:,}", "molecules, after linking"))
    if contents.resolution is not None:
        if places := contents.resolution.beads.places:
            tiles.append((f"{len(places):,}", "beads, which are no molecules"))
        nena, frc = contents.resolution.nena, contents.resolution.frc
        if nena.nena_nm is not None:
            tiles.append((f"{value_text(nena.nena_nm, nena.nena_error_nm)} nm", "localization precision (NeNA)"))
            tiles.append((f"{nena.uncertainty_factor:.2f}", "scatter of molecules over their uncertainties"))
        elif nena.textbook_nm is not None:
            tiles.append((f"{value_text(nena.textbook_nm)} nm", "localization precision (NeNA as published)"))
        if frc.frc_nm is not None:
            tiles.append((f"{value_text(frc.frc_nm, frc.frc_error_nm)} nm", "resolution (FRC, 1/7)"))
        if contents.resolution.decorrelation_nm is not None:
            tiles.append(
                (f"{value_text(contents.resolution.decorrelation_nm)} nm", "sharpness of the image (decorrelation)")
            )
    if contents.drift is not None:
        y, x = contents.drift.extent_nm
        error = contents.drift.rms_error_nm
        tiles.append((f"{x:.0f} and {y:.0f} nm", f"range of the drift in x and y; error {error:.2g} nm RMS"))
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>" for value, what in tiles)
    return f'<div class="numbers">{cells}</div>'


def _warnings(warnings: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(warning)}</li>" for warning in dict.fromkeys(warnings))
    return f'{_heading("Warnings")}<ul class="warnings">{items}</ul>' if items else ""


def _table(rows: Mapping[str, Any]) -> str:
    lines = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items())
    return f"<table>{lines}</table>" if lines else "<p>None are known.</p>"
