"""Movies on disk: one, many, while they are written, on a cluster; resumable.

pipeline           from a movie to a table, chunk by chunk
checkpoints        finished chunks of an unfinished run
outputs            the table of a run, and an image of its molecules
unchanged          whether a movie is still the one that its run began with
quality_warnings   what may be wrong with a result, such as a movie outside the domain of the model
crowding           points that are denser than molecules can be resolved
static_points      points that never move
batch              several movies into as many tables
batch_summary      what became of every movie of a batch
movie_lists        which movies are meant by names, folders, patterns and lists
sidecars           settings of one movie in a file next to it
finished_tables    a finished table compared with the settings of the run that would skip it
live               a movie detected while it is written
live_options       how it is followed; loads no torch
dask_cluster       chunks of a movie on workers of Dask
figure             from a table to its figure: drift, filter, resolution, linking, image and report
"""
