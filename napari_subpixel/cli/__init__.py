"""The command line: translates arguments into calls of the core.

The command, and a module for each of its subcommands

main           the parser and the exit status
detect         movies in, tables out
figure         a movie in; tables, image and report out
drift          a table without the drift of its movie
filter         some rows of a table
link           the rows of each molecule become one
resolution     localization precision and resolution of a table
render         a table as an image
report         a table as a report
convert        a table in another format
evaluate       a result and its truth in, scores out
info           what a movie, a table, a model or a camera file is
psf            the point spread function of a movie
simulate       a movie with known truth
train          a model from a movie with truth, from simulation, or from another model
models         the installed models
cameras        the known cameras
demo           from a movie to a score, on a simulated movie
completion     the commands and their options for a shell

What they share

parsing        errors of the parser, one line each
defaults       options from files: settings, and the user's own defaults
common         arguments of several commands, and progress
filtering      arguments that choose rows of a table
record_flags   flags from the fields of a record
like           the settings of an earlier run
info_results   what traces of drift and files of on and off times hold
event_lines    what happens in a training as lines of JSON, for a program that runs it
announcements  what is said of a movie before its first frame
messages       notes, warnings and errors
advice         what to do about an error, in flags
tables         text tables, sections and JSON on standard output
exit_status    what the exit status says
"""

from napari_subpixel.cli.main import main

__all__ = ["main"]
