"""``python -m napari_subpixel`` is the command ``napari-subpixel``."""

import sys

from napari_subpixel.cli import main

if __name__ == "__main__":
    sys.exit(main())
