"""The napari plugin: its widgets, readers, writers and sample data, which make core calls of clicks and layers.

The widgets

- ``steps``: *Subpixel*, the steps in a row, with what is done and what is missing
- ``load``: *Load*, a movie with its pixel size and camera
- ``detect``: *Detect*, a preview of the frame in view and runs over the movie
- ``filter``: *Filter*, ranges of columns and expressions that say which points are shown
- ``render``: *Render*, an image over the movie that follows threshold and filter
- ``drift``: *Drift*, a curve with its error band, subtracted and taken back
- ``link``: *Link*, the rows of each molecule as one, and on and off times
- ``resolution``: *Resolution*, NeNA, FRC and decorrelation
- ``regions``: *Regions*, count, density and medians in shapes, profiles of lines, and what is inside as a layer
- ``figure``: *Figure*, from a movie to a picture and a report
- ``evaluate``: *Evaluate*, scores and coloured matches
- ``about``: *About*, how a result was made
- ``train``: *Train*, a model of the user's own, with its curves and sample frames
- ``batch``: *Batch*, a folder of movies into a folder of tables

The other contributions that ``napari.yaml`` lists

- ``readers``: movies and tables as layers
- ``pairing``: tables and movies that find each other, for readers and *Load*
- ``writers``: points as tables
- ``shortcuts``: commands with keys
- ``sample_data``: a simulated movie with its truth

For the command line

- ``viewer``: a finished result in a new viewer

Rooms

- ``layers``: what the plugin shows, as layers
- ``background``: what runs on threads of its own
- ``controls``: the parts of the widgets
"""
