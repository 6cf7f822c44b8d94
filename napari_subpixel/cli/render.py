"""``napari-subpixel render``: a table in, a super-resolution image out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel._util.records import naming
from napari_subpixel.cli.common import add_table_arguments, read_table, reading_from, region, shape
from napari_subpixel.cli.filtering import add_keep_argument, kept_rows
from napari_subpixel.cli.messages import counted, say, warn
from napari_subpixel.cli.parsing import UsageError
from napari_subpixel.cli.record_flags import pixel_size
from napari_subpixel.cli.tables import print_json

if TYPE_CHECKING:
    from napari_subpixel.localizations import Localizations
    from napari_subpixel.rendering.colours import ColouredImage
    from napari_subpixel.rendering.render import SuperResolutionImage


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("render")
    parser.add_argument("localizations", type=Path, metavar="LOCS", help="table, in any format that is read")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="IMAGE.tif", help="OME-TIFF to write")
    parser.add_argument(
        "--pixel-size-nm", type=float, default=10.0, metavar="NM", help="size of the image's pixels (10)"
    )
    parser.add_argument("--method", default="gaussian", metavar="NAME", help="gaussian or histogram (gaussian)")
    parser.add_argument(
        "--sigma-nm",
        type=float,
        metavar="NM",
        help="width of all Gaussians; else each point's own uncertainty, where it has one",
    )
    parser.add_argument("--shape-px", type=shape, metavar="H,W", help="of the frames, if the table does not have it")
    parser.add_argument(
        "--camera-pixel-size-nm",
        type=pixel_size,
        metavar="NM",
        help="pixel size of the frames, or height,width, if not in the table",
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument(
        "--roi",
        type=region,
        metavar="Y0:Y1,X0:X1",
        help="part of the frame, in camera pixels (the part that was detected)",
    )
    part.add_argument("--whole-frame", action="store_true", help="draw the whole frame, though a part was detected")
    add_table_arguments(parser)
    add_keep_argument(parser)
    parser.add_argument("--preview", type=Path, metavar="PICTURE.png", help="also write a coloured picture for viewing")
    parser.add_argument(
        "--scale-bar-nm",
        type=float,
        metavar="NM",
        help="length of the picture's bar (a fifth of its width); 0: none",
    )
    parser.add_argument(
        "--colormap",
        metavar="NAME",
        help="colours of the picture: hot, gray, magma, viridis or rainbow (hot; rainbow with --color-by)",
    )
    parser.add_argument(
        "--color-by",
        metavar="COLUMN",
        help="colour each point of the picture by a column, such as frame, z or photons",
    )
    parser.add_argument(
        "--color-range",
        type=value_range,
        metavar="A:B",
        help="value of the first and of the last colour (the 1%% and the 99%% quantile)",
    )
    parser.add_argument(
        "--contrast",
        type=float,
        metavar="QUANTILE",
        help="contrast of the picture: the quantile of the lit pixels that is shown fully bright (0.995, or 0.9 where "
        "points are few)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Render and save."""
    from napari_subpixel.coordinates import pixel_size_text, pixel_size_yx
    from napari_subpixel.rendering.colours import ColouredImage, checked_colormap
    from napari_subpixel.rendering.image_files import (
        check_image_output,
        check_preview_output,
        fitting_scale_bar_nm,
        save_image,
        save_preview,
    )
    from napari_subpixel.rendering.render import render

    if (arguments.color_by or arguments.color_range) and not arguments.preview:
        raise UsageError("render: --color-by and --color-range are for the picture of --preview (--help explains)")
    if arguments.color_range and not arguments.color_by:
        raise UsageError("render: --color-range needs --color-by (--help explains)")
    if arguments.colormap is not None:
        checked_colormap(arguments.colormap)
    check_image_output(arguments.output, overwrite=arguments.overwrite)
    if arguments.preview:
        check_preview_output(arguments.preview, overwrite=arguments.overwrite)
    size = arguments.camera_pixel_size_nm
    table = read_table(arguments.localizations, pixel_size_nm=size, **reading_from(arguments))
    with naming(arguments.localizations):
        table.known_pixel_size_nm()
    table = kept_rows(table, arguments.keep, arguments.localizations)
    roi = _part(arguments, table)
    image = render(
        table,
        pixel_size_nm=arguments.pixel_size_nm,
        method=arguments.method,
        sigma_nm=arguments.sigma_nm,
        frame_shape=arguments.shape_px,
        roi=roi,
    )
    picture: SuperResolutionImage | ColouredImage = image
    if arguments.preview and arguments.color_by:
        with naming(arguments.localizations):
            picture = coloured(table, arguments, roi)
    save_image(arguments.output, image, overwrite=arguments.overwrite)
    bar_nm = None
    if arguments.preview:
        bar_nm = fitting_scale_bar_nm(image) if arguments.scale_bar_nm is None else arguments.scale_bar_nm or None
        contrast = {} if arguments.contrast is None else {"full_at": arguments.contrast}
        save_preview(
            arguments.preview,
            picture,
            colormap=arguments.colormap or "hot",
            scale_bar_nm=bar_nm,
            overwrite=arguments.overwrite,
            **contrast,
        )
    height, width = image.image.shape
    where = "" if roi is None else " of the region {}:{},{}:{}".format(*roi[0], *roi[1])
    beyond = "the frames" if roi is None else "the region"
    outside = f"; {counted(image.n_outside, 'point')} outside {beyond} left out" if image.n_outside else ""
    camera_nm = table.known_pixel_size_nm()
    shorter_nm, longer_nm = sorted(pixel_size_yx(camera_nm))
    if arguments.pixel_size_nm >= shorter_nm:
        warn(
            f"{arguments.localizations}: pixels of the image, {arguments.pixel_size_nm:g} nm, are no smaller than the "
            f"camera's, {pixel_size_text(camera_nm)}; those are given by --camera-pixel-size-nm"
        )
    if arguments.sigma_nm is not None and arguments.sigma_nm > longer_nm:
        warn(f"{arguments.localizations}: points are drawn wider, {arguments.sigma_nm:g} nm, than the camera's pixels")
    if image.n_outside == len(table):
        why = f"none of {counted(len(table), 'point')} lies on {beyond}" if len(table) else "there are no points"
        warn(f"{arguments.localizations}: {why}: the image is black")
    say(f"{arguments.output}: {height} x {width} pixels of {arguments.pixel_size_nm:g} nm{where}{outside}")
    if arguments.preview:
        bar = f", with a scale bar of {bar_nm:g} nm" if bar_nm else ""
        say(f"{arguments.preview}: picture for viewing{bar}{_described_colours(picture, arguments.color_by)}")
    if arguments.json:
        print_json(
            {
                "image": str(arguments.output),
                "shape": [height, width],
                "pixel_size_nm": arguments.pixel_size_nm,
                "method": arguments.method,
                "roi": roi and [list(side) for side in roi],
                "n_localizations": len(table),
                "n_outside": image.n_outside,
                "preview": None if arguments.preview is None else str(arguments.preview),
                "scale_bar_nm": bar_nm,
                "color_by": arguments.color_by,
                "color_range": list(picture.value_range) if isinstance(picture, ColouredImage) else None,
            }
        )
    return 0


def _part(arguments: argparse.Namespace, table: Localizations) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return the part of the frame that is drawn: the one that was detected, where the table says so."""
    from napari_subpixel.rendering.render import detected_roi

    if arguments.roi is not None or arguments.whole_frame or arguments.shape_px is not None:
        return arguments.roi
    return detected_roi(table)


def value_range(text: str) -> tuple[float | None, float | None]:
    """Parse ``A:B``, either end of which may be left out."""
    try:
        low, high = (float(part) if part.strip() else None for part in text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"a range is A:B, got {text!r}") from None
    return low, high


def coloured(
    table: Localizations, arguments: argparse.Namespace, roi: tuple[tuple[int, int], tuple[int, int]] | None
) -> ColouredImage:
    """Return the image whose points have the colour of the column that the flags name."""
    from napari_subpixel.analysis.quantities import source_of, values_in
    from napari_subpixel.rendering.colours import BY_VALUE, render_coloured

    values, _ = values_in(table, source_of(table, arguments.color_by))
    return render_coloured(
        table,
        values,
        colormap=arguments.colormap or BY_VALUE,
        value_range=arguments.color_range or (None, None),
        pixel_size_nm=arguments.pixel_size_nm,
        method=arguments.method,
        sigma_nm=arguments.sigma_nm,
        frame_shape=arguments.shape_px,
        roi=roi,
    )


def _described_colours(picture: SuperResolutionImage | ColouredImage, color_by: str | None) -> str:
    from napari_subpixel.rendering.colours import ColouredImage

    if not isinstance(picture, ColouredImage):
        return ""
    low, high = picture.value_range
    without = f" ({counted(picture.n_without, 'point')} without it left out)" if picture.n_without else ""
    return f", in colours by {color_by} from {low:g} to {high:g}{without}"
