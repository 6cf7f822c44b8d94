"""``napari-subpixel models``: what is installed."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("models")
    parser.add_argument("--json", action="store_true", help="all cards as one JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a short card for every installed model."""
    from napari_subpixel.models import installed

    cards = installed()
    if arguments.json:
        print(json.dumps([card.to_dict() for card in cards], indent=1))
        return 0
    for card in cards:
        print(f"{card.name}: {card.summary}")
        print(f"  threshold {card.threshold:g}, input {card.input_scaling}, weights {card.weights_sha256[:12]}")
        for name, (low, high) in card.domain.items():
            print(f"  made for {name}: {low:g} to {high:g}")
        for name, value in card.figures.items():
            print(f"  {name}: {value}")
        if card.limits:
            print(f"  limits: {card.limits}")
    return 0
