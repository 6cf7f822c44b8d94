"""An image with its scale bar and colour bar, as one SVG element: a bitmap with vector text on it."""

from __future__ import annotations

import base64

from napari_subpixel.rendering.colours import COLORMAPS
from napari_subpixel.rendering.image_files import fitting_scale_bar_nm, preview_png
from napari_subpixel.rendering.marks import length_text
from napari_subpixel.rendering.render import SuperResolutionImage
from napari_subpixel.reports.charts import number_text

#: Width of the picture without its colour bar, in pixels of the screen.
WIDTH = 820
#: Room for the colour bar to the right.
BAR_ROOM = 124
#: Colours of the picture.
COLORMAP = "hot"


def picture(rendered: SuperResolutionImage) -> str:
    """Return an image as SVG, with a scale bar where it is large enough, and a colour bar.

    Parameters
    ----------
    rendered : SuperResolutionImage
    """
    png, full = preview_png(rendered, colormap=COLORMAP)
    height_px, width_px = rendered.image.shape
    scale = min(WIDTH / width_px, WIDTH / height_px)
    width, height = width_px * scale, max(height_px * scale, 90.0)
    shown = height_px * scale
    data = base64.b64encode(png).decode("ascii")
    parts = [
        f'<svg class="picture" viewBox="0 0 {width + BAR_ROOM:.0f} {height + 12:.0f}" role="img" '
        'aria-label="super-resolution image" xmlns="http://www.w3.org/2000/svg">',
        f'<image width="{width:.1f}" height="{shown:.1f}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{data}"/>',
        _scale_bar(rendered, scale, width, shown),
        _colour_bar(width + 16, min(height, 320.0), full / (rendered.grid.pixel_size_nm / 1000) ** 2),
        "</svg>",
    ]
    return "".join(parts)


def _scale_bar(rendered: SuperResolutionImage, scale: float, width: float, height: float) -> str:
    length_nm = fitting_scale_bar_nm(rendered)
    if length_nm is None:
        return ""
    length = length_nm / rendered.grid.pixel_size_nm * scale
    x, y = width - 18 - length, height - 22
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{length:.1f}" height="5" fill="white"/>'
        f'<text x="{x + length / 2:.1f}" y="{y - 6:.1f}" text-anchor="middle" class="scale">'
        f"{length_text(length_nm)}</text>"
    )


def _colour_bar(x: float, height: float, full_per_um2: float) -> str:
    colours = COLORMAPS[COLORMAP]
    shares = [f"{k / (len(colours) - 1):.3f}" for k in range(len(colours))]
    named = [f"rgb({','.join(str(round(255 * part)) for part in colour)})" for colour in colours]
    stops = "".join(f'<stop offset="{a}" stop-color="{b}"/>' for a, b in zip(shares, named, strict=True))
    labels = "".join(
        f'<text x="{x + 20:.1f}" y="{height - 6 - share * (height - 14) + 4:.1f}">'
        f"{number_text(float(f'{share * full_per_um2:.3g}'))}</text>"
        for share in (0.0, 0.5, 1.0)
    )
    middle = height / 2
    return (
        f'<defs><linearGradient id="colours" x1="0" y1="1" x2="0" y2="0">{stops}</linearGradient></defs>'
        f'<rect x="{x:.1f}" y="8" width="14" height="{height - 14:.1f}" fill="url(#colours)" stroke="#5f6368"/>{labels}'
        f'<text x="{x + 98:.1f}" y="{middle:.1f}" text-anchor="middle" '
        f'transform="rotate(-90 {x + 98:.1f} {middle:.1f})">localizations per µm²</text>'
    )
