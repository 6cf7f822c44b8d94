"""The form of *Render*: what is drawn, of which molecules, and how."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox

from napari_subpixel.rendering.render import METHODS, PIXEL_SIZE_NM
from napari_subpixel.widgets.background.view_pictures import QUANTITIES, Appearance, can_colour
from napari_subpixel.widgets.controls.last_used import recall, remember
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.layers.movies import is_movie
from napari_subpixel.widgets.layers.results import is_result, is_table

if TYPE_CHECKING:
    from napari import Viewer

#: Colormaps offered here; the layer's own controls offer all of napari's.
COLORMAPS = ("inferno", "hot", "magma", "fire", "viridis", "turbo", "gray", "green", "magenta", "cyan")
#: What is drawn.
IN_VIEW = "what is in view"
WHOLE_FIELD = "the whole field"
#: The choice of colours by the number of molecules.
DENSITY = "density"


class RenderForm(Panel):
    """A panel that begins with the choices of a rendering.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer)
        self._build_form()
        self._remembered = (
            ("extent", self.extent),
            ("pixel_size_nm", self.pixel_size_nm),
            ("method", self.method),
            ("sigma_nm", self.sigma_nm),
            ("colormap", self.colormap),
            ("follow", self.follow),
            ("hide_others", self.hide_others),
        )
        recall("render", {name: partial(setattr, control, "value") for name, control in self._remembered})
        self._method_changed()
        self._show_rows()

    def remember(self) -> None:
        """Keep the settings for the next session."""
        remember("render", {name: control.value for name, control in self._remembered})

    def _build_form(self) -> None:
        self._build_choices()
        self._build_settings()
        self._form = self.add_form(
            self.points,
            self.frames_of,
            self.extent,
            self.pixel_size_nm,
            self.method,
            self.sigma_nm,
            self.colour_by,
            self.colormap,
            self.follow,
            self.hide_others,
        )
        self.method.changed.connect(self._method_changed)
        for control in (self.extent, self.colour_by):
            control.changed.connect(self._show_rows)

    def _build_choices(self) -> None:
        """Make the choices of layers."""
        self.points = self.layer_choice(
            "Localizations",
            is_table,
            prefers=is_result,
            tooltip="The points layer to render; hidden points are left out",
        )
        self.frames_of = self.layer_choice(
            "On the frames of",
            is_movie,
            tooltip="The movie that these points lie on, since they do not record the size of its frames",
        )

    def _build_settings(self) -> None:
        """Make the controls of how to render."""
        self.extent = ComboBox(
            label="Draw",
            choices=(IN_VIEW, WHOLE_FIELD),
            tooltip="what is in view: drawn anew, with the pixels of the screen, wherever you pan and zoom\n"
            "the whole field: one image, with pixels of the size below",
        )
        self.pixel_size_nm = FloatSpinBox(
            label="Pixel size [nm]",
            value=PIXEL_SIZE_NM,
            min=0.01,
            max=10_000.0,
            step=1.0,
            tooltip="Width of a pixel of the image; 10 nm suits most results. It need not divide the camera's",
        )
        self.method = ComboBox(
            label="Method",
            choices=METHODS,
            tooltip="gaussian: every point is a spot of sum 1, as wide as its uncertainty\n"
            "histogram: the number of points in each pixel",
        )
        self.sigma_nm = FloatSpinBox(
            label="Sigma [nm]",
            value=0.0,
            min=0.0,
            max=10_000.0,
            step=1.0,
            tooltip="Standard deviation of the spots. auto: each point's own uncertainty if it was measured, else "
            "one pixel of the image",
        )
        self.sigma_nm.native.setSpecialValueText("auto")
        self.colour_by = ComboBox(
            label="Colour by",
            choices=self._quantities(),
            tooltip="The number of molecules, or the mean of a quantity of them, as bright as they are many",
        )
        self.keep_listed(self.colour_by)
        self.colormap = ComboBox(
            label="Colormap", choices=COLORMAPS, tooltip="Colours from no points to many; applied at once"
        )
        self.follow = CheckBox(
            text="Follow the threshold",
            value=True,
            tooltip="Render again when the threshold or the filter of these localizations changes",
        )

        self.hide_others = CheckBox(
            text="Hide movie and molecules",
            value=True,
            tooltip="Hide the movie and the markers when they are rendered, which would cover the image",
        )

    def _quantities(self) -> Callable[[object], list[str]]:
        """Return a function that gives what the chosen molecules can be coloured by."""
        panel = weakref.ref(self)

        def choices(_: object = None) -> list[str]:
            owner = panel()
            points = owner.points.value if owner is not None else None
            known = [] if points is None else [name for name in QUANTITIES if can_colour(points, name)]
            return [DENSITY, *known]

        return choices

    def _show_rows(self, _: object = None) -> None:
        """Show the rows of what is drawn."""
        whole = self.extent.value == WHOLE_FIELD
        for control, visible in (
            (self.pixel_size_nm, whole),
            (self.colour_by, not whole),
            (self.colormap, whole or self.colour_by.value == DENSITY),
        ):
            self._form.setRowVisible(control.native, visible)

    def _method_changed(self, _: object = None) -> None:
        self.sigma_nm.enabled = self.method.value == "gaussian"

    @property
    def appearance(self) -> Appearance:
        """How to draw what is in view."""
        colour_by = "" if self.colour_by.value == DENSITY else str(self.colour_by.value)
        return Appearance(self.method.value, self.settings["sigma_nm"], colour_by)

    @property
    def settings(self) -> dict[str, Any]:
        """How to render: keyword arguments of `napari_subpixel.rendering.render.render`."""
        wide = self.method.value == "gaussian" and self.sigma_nm.value > 0
        return {
            "pixel_size_nm": self.pixel_size_nm.value,
            "method": self.method.value,
            "sigma_nm": self.sigma_nm.value if wide else None,
        }
