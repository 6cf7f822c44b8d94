"""A box for one number, which gives back exactly what it was given until somebody edits it."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtWidgets import QDoubleSpinBox

#: Significant digits that are shown; a number that is not edited is kept to the last bit.
DIGITS = 10


@dataclass(frozen=True)
class Field:
    """A number to ask for.

    Attributes
    ----------
    label : str
    low, high : float
        The range of the number, both ends included.
    tooltip : str
        What it means.
    lowest : str
        Text that is shown in place of `low`.
    """

    label: str
    low: float
    high: float
    tooltip: str
    lowest: str = ""


class NumberBox(QDoubleSpinBox):
    """A spin box for a number, which is kept to the last bit until it is edited.

    Parameters
    ----------
    field : Field
    """

    def __init__(self, field: Field) -> None:
        super().__init__()
        self._exact = 0.0
        self.setDecimals(DIGITS)
        self.setRange(field.low, field.high)
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self.setKeyboardTracking(False)
        self.setSpecialValueText(field.lowest)
        self.setToolTip(field.tooltip)
        self.setMinimumWidth(60)
        self.valueChanged.connect(self._set_exact)

    @property
    def exact(self) -> float:
        """The number, also one that is being typed."""
        if self.lineEdit().isModified():
            self.interpretText()
        return self._exact

    def show_value(self, value: float) -> None:
        """Show a number without emitting `valueChanged`."""
        blocked = self.blockSignals(True)
        self.setValue(float(f"{value:.{DIGITS}g}"))  # as displayed, so that reading the text back changes nothing
        self.blockSignals(blocked)
        self._exact = value

    def textFromValue(self, value: float) -> str:  # noqa: N802 (Qt's name)
        """Write a number as people do, without zeros at its end."""
        return self.locale().toString(value, "g", DIGITS)

    def _set_exact(self, value: float) -> None:
        self._exact = value
