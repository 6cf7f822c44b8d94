"""The napari plugin: five widgets, readers, writers and sample data, which translate layers and clicks into core calls.

The five widgets

- ``load``: *Load*, a movie with its pixel size and camera
- ``detect``: *Detect*, a preview of the frame in view and runs over the movie
- ``render``: *Render*, an image over the movie that follows the threshold
- ``evaluate``: *Evaluate*, scores and coloured matches
- ``batch``: *Batch*, a folder of movies into a folder of tables

The other contributions that ``napari.yaml`` lists

- ``readers``: movies and tables as layers
- ``writers``: points as tables
- ``sample_data``: a simulated movie with its truth

For the command line

- ``viewer``: a finished result in a new viewer

Rooms

- ``layers``: what the plugin shows, as layers
- ``background``: what runs on threads of its own
- ``controls``: the parts of the widgets
"""
