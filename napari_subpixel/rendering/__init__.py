"""From a table of localizations to a super-resolution image.

render         `render`: the image, on a grid that lies exactly over the frames
image_files    its files: OME-TIFF to measure in, PNG to look at
colours        colormaps, and images in which points have the colour of a quantity
marks          the scale bar and the colour bar of a picture, with their numbers
view_style     how the molecules of a view are drawn: as what, and how wide
views          images of a part of the frames, as fast as a viewer pans and zooms
cells          molecules sorted by the cells of a grid, for views
kernels        compiled loops that draw points
"""
