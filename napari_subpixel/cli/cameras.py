"""``napari-subpixel cameras``: the cameras that ``--camera`` knows by name."""

from __future__ import annotations

import argparse
from typing import Any

from napari_subpixel.cli.messages import say
from napari_subpixel.cli.tables import print_json, text_table


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("cameras")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every camera with its numbers, the user's own last."""
    from napari_subpixel._util.user_folder import user_folder
    from napari_subpixel.cameras.presets import KIND, all_presets, camera_files, is_shipped

    files = camera_files()
    cameras = [
        {"shipped": is_shipped(files[name]), "file": str(files[name]), **camera.summary(), "name": name}
        for name, camera in all_presets().items()
    ]
    if arguments.json:
        print_json(cameras)
        return 0
    columns = {
        "name": "name",
        "pixel_size_nm": "pixel nm",
        "baseline": "baseline ADU",
        "electrons_per_adu": "e-/ADU",
        "quantum_efficiency": "QE",
        "em_gain": "EM gain",
        "read_noise_e": "noise e-",
    }
    whose = [["shipped" if camera["shipped"] else "yours"] for camera in cameras]
    rows = [[camera.get(key, "-") for key in columns] + of for camera, of in zip(cameras, whose, strict=True)]
    print(text_table([*columns.values(), "whose"], rows))
    say(f"a camera file of yours in {user_folder(KIND)} is listed here and known by its name")
    return 0
