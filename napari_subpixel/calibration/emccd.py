"""Whether a camera multiplies electrons, which its noise cannot show: by its name, or by what the movie says of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from napari_subpixel.camera import Camera
from napari_subpixel.errors import WarningKind

#: Names of cameras that multiply electrons, and of their kind.
EMCCDS = re.compile(r"\bem-?ccd|ixon|imagem\b|\bevolve\b|\bproem\b|\bhnu\b", re.IGNORECASE)
#: Names of settings that are the gain of the multiplication.
EM_GAINS = re.compile(
    r"(?<![a-z])em[-_\s]?(ccd|real)?[-_\s]?gain"
    r"|(?-i:EM[-_]?Gain)"
    r"|multipl(ier|ication|ying)[-_\s]?gain"
    r"|(^|camera[-_\s]?)(em[-_\s]?)?multiplier$",
    re.IGNORECASE,
)

#: What a note on the movie begins with, in warnings.
METADATA = "the movie's metadata have"


def em_gain_warning(
    camera: Camera, notes: Mapping[str, str], unknown: Collection[str], *, em_gain_given: bool = False
) -> str:
    """Return a warning where an EMCCD is used without its gain; an empty text elsewhere.

    Parameters
    ----------
    camera : Camera
        As given.
    notes : mapping of str to str
        What the movie says of its camera.
    unknown : collection of str
        Which of the fields `napari_subpixel.camera.GAIN` are estimated.
    em_gain_given : bool
        Whether the camera's ``em_gain`` is given: 1 then means an EMCCD that does not multiply, which only metadata of
        another gain contradict.
    """
    if em_gain_given:
        contradiction = _gain_in(notes) if camera.em_gain == 1 else ""
        return f"{contradiction}, and an EM gain of 1 is given" if contradiction else ""
    sign = _sign_of_emccd(camera.name, notes) if camera.em_gain == 1 else ""
    if not sign:
        return ""
    if "electrons_per_adu" in unknown:
        consequence = "its noise is doubled, and so photons are about half of what they should be"
    else:
        consequence = "photons are too many by as much as the EM gain"
    return f"the camera seems to be an EMCCD ({sign}), and {WarningKind.NO_EM_GAIN}: {consequence}"


def _sign_of_emccd(name: str, notes: Mapping[str, str]) -> str:
    """Return what says that a camera is an EMCCD."""
    if EMCCDS.search(name):
        return f"its name is {name!r}"
    named = (f"{METADATA} {entry} {value}" for entry, value in notes.items() if EMCCDS.search(value))
    return next(named, "") or _gain_in(notes)


def _gain_in(notes: Mapping[str, str]) -> str:
    """Return what gives the gain of a multiplication."""
    gains = (f"{METADATA} {e} {value}" for e, value in notes.items() if EM_GAINS.search(e) and _is_gain(value))
    return next(gains, "")


def _is_gain(value: str) -> bool:
    try:
        return float(value) > 1
    except ValueError:
        return False
