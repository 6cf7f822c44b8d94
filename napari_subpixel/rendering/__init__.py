"""From a table of localizations to a super-resolution image.

- `render`: the image, on a grid that lies exactly over the frames
- `image_files`: its files, OME-TIFF to measure in and PNG to look at
- `kernels`: the compiled loops that draw points
"""
