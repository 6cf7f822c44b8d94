"""The command line: translates arguments into calls of the core."""

from napari_subpixel.cli.main import main

__all__ = ["main"]
