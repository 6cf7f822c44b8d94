"""Movies, points, renderings and matches as layers, with the plugin's notes in their metadata.

- ``movies``: an image layer as a movie: frames, camera, placement
- ``table_coordinates``: the rows of a table as the coordinates of points
- ``table_points``: the points layer over a table, of which only the frames in view become markers
- ``table_slices``: which of its points are in view
- ``uniform_points``: one size, line, symbol and colour for all its points
- ``points``: a table as points over its movie, the threshold, and the way back to a table
- ``filtering``: which of the points a filter shows
- ``renderings``: an image exactly over the frames of its points
- ``view_image``: the image of what is in view, which says when something else is
- ``hidden``: layers that are hidden while others show what they hold
- ``results``: which points are a result or a truth, and what they lie on
- ``files``: the files that movies and points come from, as the command line takes them
- ``drifted``: drift subtracted from points and taken back, and fiducials that are picked
- ``regions``: shapes as regions in the pixels of points
- ``matches``: true positives, false positives and misses
- ``workflow``: the steps from a movie to a result, and how far each is
"""
