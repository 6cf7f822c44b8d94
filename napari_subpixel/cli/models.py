"""``napari-subpixel models``: what is installed, in a table or with the card of one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_subpixel.cli.messages import say
from napari_subpixel.cli.tables import print_json, sections, text_table

if TYPE_CHECKING:
    from napari_subpixel.models import ModelCard

#: Names of the Jaccard index at 50 nm in a card's figures: on the test movie of the shipped models, or on the only one.
JACCARD = ("test_jaccard_50_nm", "jaccard_50_nm")
SPEED = "test_frames_per_second"


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("models")
    parser.add_argument("model", nargs="?", metavar="NAME|PATH", help="show its card; else all models are listed")
    parser.add_argument("--json", action="store_true", help="whole cards as one JSON document on standard output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List the models, or show the card of one."""
    from dataclasses import replace

    from napari_subpixel.models import find, installed, read_card

    if arguments.model is not None:
        path = find(arguments.model)
        card = replace(read_card(path), name=path.stem)
        if arguments.json:
            print_json(card.to_dict())
        else:
            print(card_text(card))
        return 0
    cards = installed()
    if arguments.json:
        print_json([card.to_dict() for card in cards])
        return 0
    rows = [
        [card.name, f"{card.threshold:g}", _jaccard(card), _speed(card), _shortened(card.summary)] for card in cards
    ]
    print(text_table(["name", "threshold", "J@50", "speed", "for what"], rows))
    say("J@50: Jaccard index within 50 nm, on a crowded test movie that is the same for all shipped models")
    say("napari-subpixel models NAME shows the card of one")
    return 0


def card_text(card: ModelCard) -> str:
    """Return a card in sections that can be read."""
    figures = {_words(name): value for name, value in card.figures.items() if not _is_command(name)}
    training = dict(card.training)
    settings = training.pop("settings", {})
    return f"{card.name}: {card.summary}\n\n" + sections(
        {
            "use": {
                "threshold": card.threshold,
                "input": card.input_scaling,
                "network": card.network,
                "weights": f"SHA-256 {card.weights_sha256}",
                "written by": card.program,
            },
            "made for": {_words(name): _range_text(value) for name, value in card.domain.items()},
            "made for the camera": dict(card.camera),
            "made for the PSF": dict(card.psf),
            "limits": {"where not to trust it": card.limits},
            "figures": figures,
            "training": {**_flat(training), **_flat(settings)},
        }
    )


def _jaccard(card: ModelCard) -> str:
    value = next((card.figures[name] for name in JACCARD if name in card.figures), None)
    return "-" if value is None else f"{value:.3f}"


def _speed(card: ModelCard) -> str:
    """Return the speed on the test movie, else the size of the weights."""
    if SPEED in card.figures:
        return f"{card.figures[SPEED]:g} frames/s"
    from napari_subpixel.models import find

    return f"{find(card.name).stat().st_size / 1e6:.1f} MB"


def _shortened(text: str, width: int = 76) -> str:
    """Return the beginning of a sentence, up to a word."""
    return text if len(text) <= width else text[: text.rindex(" ", 0, width)].rstrip(" ,:;") + " ..."


def _words(name: str) -> str:
    return name.replace("_", " ")


def _is_command(name: str) -> bool:
    return name.endswith("command")


def _range_text(value: Any) -> str:
    return f"{value[0]:g} to {value[1]:g}" if isinstance(value, list | tuple) and len(value) == 2 else str(value)


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are not mappings themselves."""
    return {_words(name): value for name, value in fields.items() if not isinstance(value, Mapping)}
