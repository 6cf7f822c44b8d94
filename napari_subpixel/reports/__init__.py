"""Reports: what was made of a movie or a table, on one self-contained HTML page.

contents  what a report shows: a table, its drift, molecules, resolution and image, and what was skipped
charts    plots as SVG: bars, lines, bands
plots     the plots of a report
pictures  an image with scale bar and colour bar, as SVG
page      the page
"""
