"""The face in napari: translates layers and clicks into calls of the core."""
