"""The models that a name selects: those that come with the program and those in the user's own folder."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from napari_subpixel._util.file_kinds import what_is
from napari_subpixel._util.user_folder import checked_file_name, made_user_folder, user_folder
from napari_subpixel.errors import InputError, suggest
from napari_subpixel.models.cards import CARD_SUFFIX, ModelCard, read_card

#: Ending of the file name of a model's weights.
WEIGHTS_SUFFIX = ".safetensors"
#: The model that is used where none is named.
DEFAULT = "default"
#: Folder of the models that come with the program.
SHIPPED = Path(__file__).parent
#: The first models of a list; the others are for comparison.
LISTED_FIRST = ("default", "fast", "paper")
#: Name of the folder of the user's own models.
USER_FOLDER = "models"


def shipped() -> list[ModelCard]:
    """Return the cards of the models that come with the program: `LISTED_FIRST`, then the others by name."""
    cards = [_card(path) for path in sorted(SHIPPED.glob(f"*{CARD_SUFFIX}"))]
    return sorted(cards, key=lambda card: LISTED_FIRST.index(card.name) if card.name in LISTED_FIRST else len(cards))


def installed() -> list[ModelCard]:
    """Return the cards of all models that a name selects: the shipped ones, then the user's own by name.

    A model of the user's own whose card cannot be used is left out, with a warning that names it and gives the reason.
    """
    cards = shipped()
    taken = {card.name for card in cards}
    for path in _own_cards():
        try:
            if not path.with_suffix(WEIGHTS_SUFFIX).exists():
                raise InputError(f"{path}: there are no weights next to this card")
            card = replace(_card(path), name=path.stem)
            if card.name in taken:
                raise InputError(f"{path}: a model that comes with the program has the name {card.name!r}")
        except InputError as error:
            warnings.warn(f"{error}; this model is left out", stacklevel=2)
            continue
        cards.append(card)
    return cards


def find(model: str | Path) -> Path:
    """Return the path of a model's weights, from a path or from the name of a shipped model or of the user's own.

    Raises
    ------
    InputError
        If there is no such model or file.
    """
    for folder in (SHIPPED, user_folder(USER_FOLDER)):
        named = folder / f"{model}{WEIGHTS_SUFFIX}"
        if isinstance(model, str) and named.is_file() and named.parent == folder:
            return named
    path = Path(model)
    if path.suffix == CARD_SUFFIX:
        path = path.with_suffix(WEIGHTS_SUFFIX)
    if path.is_file() and path.suffix != WEIGHTS_SUFFIX:
        raise InputError(f"{path}: a model ends in {WEIGHTS_SUFFIX}, this is {what_is(path)}")
    if path.is_file():
        return path
    cards = (*sorted(SHIPPED.glob(f"*{CARD_SUFFIX}")), *_own_cards())
    names = [card.stem for card in cards if card.with_suffix(WEIGHTS_SUFFIX).exists()]
    raise InputError(f"{model}: no such model{suggest(str(model), names)}; installed: {', '.join(names) or 'none'}")


def path_for(model: str) -> Path:
    """Return where a new model goes: the given path, or, for a bare name, the folder of the user's own models.

    What looks like a file, with a folder or a suffix such as ``.pt``, is a path.

    Raises
    ------
    InputError
        If the name cannot name a file or is a shipped model's, or the folder cannot be made.
    """
    path = Path(model)
    if path.suffix[1:].isalpha() or path.name != model:
        return path
    name = checked_file_name("model", model)
    if name.casefold() in {card.name.casefold() for card in shipped()}:
        raise InputError(f"{name!r} is a model that comes with the program; give yours another name")
    return made_user_folder(USER_FOLDER) / f"{name}{WEIGHTS_SUFFIX}"


def _card(path: Path) -> ModelCard:
    """Read a card, once for as long as its file is the same: lists of models are made again and again."""
    about = path.stat()
    return _card_of(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=256)
def _card_of(path: Path, _changed_ns: int, _size: int) -> ModelCard:
    return read_card(path)


def _own_cards() -> list[Path]:
    """Return the paths of the cards in the folder of the user's own models."""
    return sorted(user_folder(USER_FOLDER).glob(f"[!.]*{CARD_SUFFIX}"))
