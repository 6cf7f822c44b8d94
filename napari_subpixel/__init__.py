"""napari-subpixel."""
