"""The detector as a form: its model, the device it runs on, and the threshold."""

from __future__ import annotations

import html
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from magicgui.widgets import ComboBox
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QFileDialog
from superqt import QLabeledDoubleSlider

from napari_subpixel import models
from napari_subpixel._util import records
from napari_subpixel.errors import InputError
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.choices import OrderedChoice
from napari_subpixel.widgets.controls.last_used import recall, remember
from napari_subpixel.widgets.controls.messages import reported
from napari_subpixel.widgets.controls.panel import Panel, Row
from napari_subpixel.widgets.controls.preferences import AS_LAST, preferences
from napari_subpixel.widgets.controls.words import Words

#: Devices as a detector calls them, by the text that is shown.
DEVICE_LABELS = {"automatic": "auto", "CPU": "cpu", "CUDA (NVIDIA)": "cuda", "MPS (Apple)": "mps"}
#: The choice that asks for a model file.
FROM_FILE = "from file ..."


class ModelForm(QObject):
    """Controls that choose a detector, for a panel to lay out.

    Parameters
    ----------
    panel : Panel
        The widget that they are part of.
    threshold_tip : str
        Tooltip of the threshold.

    Attributes
    ----------
    model, device : magicgui.widgets.ComboBox
    device_text : QLabel
        The device in use, and why.
    threshold : QLabeledDoubleSlider
        Set to the model's own when a model is chosen.
    model_changed : Signal()
        Another model was chosen.
    device_known : Signal()
        The device that a new choice resolves to is known.
    """

    model_changed = Signal()
    device_known = Signal()

    def __init__(self, panel: Panel, *, threshold_tip: str) -> None:
        super().__init__(panel)
        self._panel = panel
        self._cards: dict[str, models.ModelCard] = {}
        self._files: list[str] = []
        self._chosen = models.DEFAULT
        self.model = OrderedChoice(label="Model", choices=lambda _: self._choices(), value=models.DEFAULT)
        panel.keep_listed(self.model)
        self.device = ComboBox(label="Device", choices=list(DEVICE_LABELS), tooltip="Where the network runs")
        self.device_text = Words()
        self.threshold = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.threshold.setRange(0.01, 0.99)
        self.threshold.setSingleStep(0.01)  # type: ignore[arg-type] # annotated as if it were a slider of integers
        self.threshold.setDecimals(2)
        self.threshold.setToolTip(threshold_tip)
        self.prefer()
        self.model.changed.connect(self._model_changed)
        self.device.changed.connect(self._device_changed)
        self._model_changed()
        self._device_changed()

    @property
    def rows(self) -> tuple[Row, ...]:
        """The controls as `Panel.add_form` takes them."""
        return self.model, self.device, ("", self.device_text), ("Threshold", self.threshold)

    @property
    def card(self) -> models.ModelCard:
        """The card of the chosen model."""
        return self._cards[self.model_name]

    @property
    def model_name(self) -> str:
        """The name or path of the chosen model, as a detector takes it."""
        return str(self.model.value)

    @property
    def device_name(self) -> str:
        """The chosen device, as a detector takes it."""
        return DEVICE_LABELS[self.device.value]

    @property
    def flags(self) -> dict[str, object]:
        """The choices, by the names of the fields, as the command line takes them."""
        threshold = round(self.threshold.value(), 4)
        return {"model": self.model_name, "device": self.device_name, "threshold": threshold}

    @property
    def controls(self) -> dict[str, Callable[[Any], object]]:
        """What sets each of the choices from a file of settings, the model first, which sets the threshold."""
        return {"model": self._choose, "device": self._choose_device, "threshold": self._choose_threshold}

    def _choose(self, name: Any) -> None:
        self._offer(str(name))
        self.model.value = str(name)

    def _choose_device(self, name: Any) -> None:
        labels = {device: label for label, device in DEVICE_LABELS.items()}
        self.device.value = labels[name]

    def _choose_threshold(self, threshold: Any) -> None:
        number = records.number("settings", "threshold", threshold)
        if not self.threshold.minimum() <= number <= self.threshold.maximum():
            raise InputError(f"a threshold is from {self.threshold.minimum():g} to {self.threshold.maximum():g}")
        self.threshold.setValue(number)

    def remember(self, panel: str) -> None:
        """Keep the choices of a panel for the next session."""
        settings = {"model": self.model_name, "device": str(self.device.value)}
        remember(panel, settings | {"threshold": round(self.threshold.value(), 4)})

    def recall(self, panel: str) -> None:
        """Show what was chosen in a panel last; the model first, which sets the threshold."""
        taken: list[str] = []

        def choose(name: Any) -> None:
            self._choose(name)
            taken.append(self.model_name)

        def choose_threshold(threshold: Any) -> None:
            if taken:  # of another model it says nothing
                self.threshold.setValue(threshold)

        device = partial(setattr, self.device, "value")
        recall(panel, {"model": choose, "device": device, "threshold": choose_threshold})
        self.prefer()

    def prefer(self) -> None:
        """Choose the model and the device of the user's preferences, where these name one."""
        preferred = preferences()
        if preferred.device in DEVICE_LABELS:
            self.device.value = preferred.device
        name = preferred.model.strip()
        if name in ("", AS_LAST, self.model_name):
            return
        with reported():
            self._offer(name)
            self.model.value = name

    def _offer(self, name: str) -> None:
        """List a model that is not installed, by its path."""
        if name not in self._cards:
            self._cards[name] = models.read_card(models.find(name))
            self._files.append(name)
            self.model.reset_choices()

    def show_device(self, description: str) -> None:
        """Show the device in use, and why."""
        device, _, why = description.partition(" ")
        self.device_text.setText(f"Runs on {device.upper() if device.isalpha() else device}")
        self.device_text.setToolTip(f"<p>{html.escape(description)}</p>" if why else "")

    def _choices(self) -> list[str]:
        """List the models, including any that was trained meanwhile."""
        known = {card.name: card for card in models.installed()}
        self._cards = known | {path: self._cards[path] for path in self._files}
        return [*self._cards, FROM_FILE]

    def _model_changed(self, _: object = None) -> None:
        if self.model.value == FROM_FILE:
            self._choose_file()
            return
        self._chosen = self.model.value
        self.model.tooltip = f"{self.card.summary} {self.card.limits}".strip()
        self.threshold.setValue(self.card.threshold)
        self.model_changed.emit()

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self._panel, "Model", "", "Models (*.safetensors)")
        name = self._chosen
        if path:
            with reported():
                self._offer(path)
                name = path
        self.model.reset_choices()
        self.model.value = name

    def _device_changed(self, _: object = None) -> None:
        work = Work(_describe_device, self.device_name)
        work.returned.connect(self._device_described)
        work.failed.connect(self._device_refused)
        self._panel.begin(work)
        self.device_text.setText("looking for devices ...")

    def _device_described(self, description: str) -> None:
        self.show_device(description)
        self.device_known.emit()

    def _device_refused(self, _: Exception) -> None:
        self.device.value = next(iter(DEVICE_LABELS))


def _describe_device(device: str) -> Generator[None, None, str]:
    """Return the device that will be used, and why; loads torch."""
    from napari_subpixel.detection.devices import choose_device

    yield
    return choose_device(device)[1]
