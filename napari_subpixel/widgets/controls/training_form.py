"""What to train and what on, as a form: a movie to imitate, ranges, or a movie with its truth."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from magicgui.widgets import ComboBox
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFormLayout, QLineEdit, QSpinBox, QWidget

from napari_subpixel import models
from napari_subpixel._util.user_folder import FORBIDDEN
from napari_subpixel.coordinates import mean_pixel_size
from napari_subpixel.errors import InputError
from napari_subpixel.models.domain import Domain
from napari_subpixel.training.request import RequestError
from napari_subpixel.widgets.background.training import TrainingCall
from napari_subpixel.widgets.controls.camera_choice import CameraChoice
from napari_subpixel.widgets.controls.choices import OrderedChoice
from napari_subpixel.widgets.controls.command_line import CommandLine
from napari_subpixel.widgets.controls.model_form import DEVICE_LABELS
from napari_subpixel.widgets.controls.number_box import Field, NumberBox
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.span_edit import SpanEdit
from napari_subpixel.widgets.controls.training_source import (
    TrainingSource,
    source_of_camera,
    source_of_movie,
    source_of_truth,
)
from napari_subpixel.widgets.layers.movies import MovieLayer, is_movie
from napari_subpixel.widgets.layers.results import ground_of, is_table, is_truth

#: What a model can learn from.
LIKE = "frames like a movie"
RANGES = "ranges"
TRUTH = "a movie with truth"
SOURCE_TIP = (
    "What the model is trained on: simulations of what a movie shows, simulations within ranges that you give, or a "
    "movie whose true molecules are known"
)
#: The model to start from, where no other is chosen: one that learns in minutes without a GPU.
START_FROM = "fast"
#: Steps of a training, where no other number is chosen; on two cores `START_FROM` takes a few minutes for them.
STEPS = 1000
#: The most steps that can be typed.
MOST_STEPS = 1_000_000
PSF_SIGMA = Field(
    "PSF sigma [nm]",
    0.0,
    1e5,
    "Standard deviation of the point spread function; psf measures it from beads. At 0 it is estimated from the movie",
    "from the movie",
)
#: Names and tooltips of the ranges, by their flags.
SPANS = {
    "photons_range": ("Photons", "Median photons of a molecule in a frame: lowest and highest"),
    "background_range": ("Background", "Photons per pixel: lowest and highest"),
    "density_um2": (
        "Density [1/\u00b5m\u00b2]",
        "Molecules that are on in a frame, per square micrometre: lowest and highest",
    ),
}


class TrainingForm(QObject):
    """Controls that choose a training, for a panel to lay out.

    Parameters
    ----------
    panel : Panel
        The widget that they are part of.

    Attributes
    ----------
    source, movie, truth, base, device : magicgui.widgets.ComboBox
    camera : CameraChoice
    psf_sigma : NumberBox
    spans : dict of str to SpanEdit
        By the names of the flags.
    steps : QSpinBox
    name : QLineEdit
    changed : Signal()
        What the model would learn from, or its name, is another.
    """

    changed = Signal()

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._panel = panel
        self.source = ComboBox(label="Learn from", choices=[LIKE, RANGES, TRUTH], tooltip=SOURCE_TIP)
        self.movie = panel.layer_choice("Movie", is_movie, tooltip="A movie of yours; its camera and pixel size count")
        self.truth = panel.layer_choice("Truth", is_table, prefers=is_truth, tooltip="Where its molecules really are")
        self.camera = CameraChoice(panel)
        self.psf_sigma = NumberBox(PSF_SIGMA)
        self.spans = {name: SpanEdit(*about) for name, about in SPANS.items()}
        self.base = OrderedChoice(
            label="Start from",
            choices=lambda _: _trainable(),
            value=START_FROM,
            tooltip="The model that is trained further, on a copy: fast takes minutes, default eight times as long",
        )
        panel.keep_listed(self.base)
        self.device = ComboBox(label="Device", choices=list(DEVICE_LABELS), tooltip="Where the network is trained")
        self.steps = QSpinBox()
        self.steps.setRange(1, MOST_STEPS)
        self.steps.setSingleStep(100)
        self.steps.setValue(STEPS)
        self.steps.setToolTip("Steps of the training; more help, ever less. It can be stopped and continued")
        self.name = QLineEdit()
        self.name.setToolTip("Name of the new model, under which Detect lists it")
        for choice in (self.source, self.movie, self.truth, self.camera.choice, self.base):
            choice.changed.connect(self._update)
        self.name.textChanged.connect(self._update)

    def add_to(self, place: QWidget) -> QFormLayout:
        """Lay the controls out in a widget."""
        spans = [(about[0], self.spans[name]) for name, about in SPANS.items()]
        rows = (self.source, self.movie, self.truth, *self.camera.rows, (PSF_SIGMA.label, self.psf_sigma), *spans)
        below = (self.base, ("Steps", self.steps), self.device, ("Name", self.name))
        self._layout = self._panel.add_form(*rows, *below, to=place)
        self._update()
        return self._layout

    # -- what is chosen -----------------------------------------------------------------------------------------------

    @property
    def model_name(self) -> str:
        """The name of the new model."""
        return self.name.text().strip() or self._default_name()

    @property
    def imitates(self) -> bool:
        """Whether the simulations are like a movie."""
        return self.source.value == LIKE

    def output(self) -> Path:
        """Return the file of the new model, in the user's folder.

        Raises
        ------
        InputError
            If the name is not one that a model can have.
        """
        name = self.model_name
        path = models.path_for(name)
        if path == Path(name):
            raise InputError(f"{name}: expected a name, without a folder or a suffix")
        return path

    def call(self, *, resume: bool = False, overwrite: bool = False) -> TrainingCall:
        """Return the training that is chosen.

        Raises
        ------
        InputError
            If something is missing, or does not go together.
        """
        source, flags = self._source(), self._flags()
        more = {"resume": resume, "overwrite": overwrite}
        return TrainingCall({**source.flags, **flags, **more}, source.written, threading.Event())

    def command_line(self) -> CommandLine:
        """Return the call of the command `train`.

        Raises
        ------
        InputError
            As for `call`.
        """
        source = self._source()
        return CommandLine("train", (), {**source.flags, **self._flags()}, source.first)

    def _flags(self) -> dict[str, Any]:
        """Return the flags of what is typed."""
        self.output()
        self.psf_sigma.interpretText()
        spans: dict[str, str | None] = {}
        if self.source.value != TRUTH:
            spans = {name: _span_text(edit.span) for name, edit in self.spans.items()}
        return {
            "psf_sigma_nm": self.psf_sigma.exact or None,
            **spans,
            "from": self.base.value,
            "iterations": self.steps.value(),
            "device": DEVICE_LABELS[self.device.value],
            "output": self.model_name,
        }

    def _source(self) -> TrainingSource:
        if self.source.value == RANGES:
            if not self.psf_sigma.exact:
                raise RequestError("simulations in ranges need the PSF", "psf")
            return source_of_camera(self.camera.choice.value, self.camera.camera, self.camera.file)
        if self.movie.value is None:
            raise InputError("there is no movie to learn from: drop a file on the viewer, or use Load")
        movie = MovieLayer(self.movie.value)
        if self.source.value == LIKE:
            return source_of_movie(movie, "like")
        if self.truth.value is None:
            raise InputError(f"{movie.name}: there is no truth among the layers: open a table of its true molecules")
        truth = self.truth.value
        return source_of_truth(movie, truth, ground_of(truth, self._panel.viewer.layers, self.movie.value))

    # -- what is shown ------------------------------------------------------------------------------------------------

    def show_domain(self, domain: dict[str, Any] | None) -> None:
        """Show the ranges that a training takes where none are typed."""
        if domain is None or self.source.value == TRUTH:
            return
        for name, span in _typed_spans(Domain.from_dict(domain), self._pixel_size_nm()).items():
            self.spans[name].show_default(span)

    def _update(self, _: object = None) -> None:
        """Show the rows that count, and what counts where nothing is typed."""
        source = self.source.value
        self.name.setPlaceholderText(self._default_name())
        if not hasattr(self, "_layout"):
            return
        shown = {
            self.movie.native: source != RANGES,
            self.truth.native: source == TRUTH,
            self.camera.choice.native: source == RANGES,
            self.camera.pixel_size: source == RANGES,
            **dict.fromkeys(self.spans.values(), source != TRUTH),
        }
        for widget, is_shown in shown.items():
            self._layout.setRowVisible(widget, is_shown)
        self.psf_sigma.setSpecialValueText("not known" if source == RANGES else "from the movie")
        self.psf_sigma.show_value(self.psf_sigma.exact)
        if source == RANGES:
            card = models.read_card(models.find(self.base.value))
            self.show_domain(dict(card.domain))
        else:
            for edit in self.spans.values():
                edit.show_default(None, "estimated")
        self.changed.emit()

    def _default_name(self) -> str:
        if self.source.value == RANGES or self.movie.value is None:
            return "own model"
        return f"{FORBIDDEN.sub('_', self.movie.value.name.partition('.')[0]).strip(' -') or 'own'} model"

    def _pixel_size_nm(self) -> float | None:
        size = self.camera.camera.pixel_size_nm
        if self.source.value != RANGES and self.movie.value is not None:
            size = MovieLayer(self.movie.value).camera.pixel_size_nm
        return None if size is None else mean_pixel_size(size)


def _trainable() -> list[str]:
    """Return the names of the models that learn from photons."""
    return [card.name for card in models.installed() if card.input_scaling != "minmax"]


def _typed_spans(domain: Domain, pixel_size_nm: float | None) -> dict[str, tuple[float, float] | None]:
    """Return ranges in the units of the form, by the names of the flags."""
    low, high = domain.density_per_px
    area = None if pixel_size_nm is None else (pixel_size_nm / 1000) ** 2
    density = None if area is None else (low / area, high / area)
    return {"photons_range": domain.photons, "background_range": domain.background, "density_um2": density}


def _span_text(span: tuple[float, float] | None) -> str | None:
    """Return a range as the command line takes it."""
    return None if span is None else f"{span[0]:.10g}:{span[1]:.10g}"
