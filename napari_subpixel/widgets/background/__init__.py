"""Work of the widgets on threads of their own.

- ``worker``: a generator on its own thread, its results delivered on the viewer's thread
- ``waiting``: a result to wait for while the window stays alive
- ``latest_request``: requests processed one at a time, of which only the latest waits
- ``detector_cache``: the detector that the widgets share, and the estimates of each movie's microscope
- ``preview``: the molecules of one frame
- ``detection``: a run over a movie
- ``following``: a movie detected while it is written
- ``growing_result``: the points layer of a run that is going on
- ``evaluation``: a result scored against its truth
- ``drift``: an estimate of drift, and images from before and after
- ``regions``: numbers of regions, and profiles of lines
- ``rendering``: an image of the points of a layer
- ``figure``: a figure of a movie or a table
- ``filtering``: which points pass a filter, and histograms of their columns
- ``table_files``: tables written
- ``view_pictures``: pictures of what is in view
- ``view_drawing``: the layer of what is in view, drawn anew as one pans and zooms
- ``picture_export``: files of what *Render* shows
- ``training``: a training in a process of its own
- ``training_files``: files that it needs of layers that have none
- ``batch``: a folder of movies into a folder of tables
"""
