"""What follows detection: tables in; tables, curves and numbers out.

neighbours        points of a whole table within a radius of each other
density           rows that have enough others near them
expressions       the grammar of filter expressions
quantities        the quantities of a table, by the names that people use, with their units
conditions        conditions on the rows of a table
filters           the rows that an expression keeps
bounds            the range of a quantity that a filter lets pass, for handles and boxes
masks             the rows that pass one filter after the other, as a slider asks for them
value_ranges      what values a table has of the quantities of a filter
regions           rows in shapes that are drawn on a field: counts, areas, densities, medians
profiles          the width of a peak of molecules along a line
histograms        how often a quantity has which value
parts             the rows of some frames or of a region
drift             `estimate_drift`: a table in, the drift of its movie out
spans             the frames of rows, of linked ones too
drift_rows        the rows that it is estimated from, and a curve reported for them
fiducial_drift    the drift of a movie from its fiducials
drift_curve       `DriftCurve`: drift by frame with its errors; tables corrected by it, and back
drift_plot        its picture
traces            what lies beside the file of a curve, and whether it is a table's
stretches         frames with rows, and how far drift may have gone in the others
rough_drift       a rough curve, by segments of the movie
climbing          a curve on its way to the best one, of a given stiffness
curve_fitting     the best curve from a rough one, with its errors
overlap           how well events overlap, by compiled loops
blinks            rows of consecutive frames merged into events
knots             the knots of a curve, and priors of its stiffness
smoothing         stiffness chosen on held-out molecules
jumps             where a curve jumps
fiducials         points in most frames, found or picked, and followed
fiducial_curve    the curve of drift that they give
trends            the smooth course of a noisy series, with an error
beads             rows of beads, which are no molecules
linking           rows of one molecule become one
link_statistics   what rows show of their molecules before they are linked
link_ranges       linking in ranges of frames, on all processors
link_kernels      the compiled loops of linking
molecules         the columns of a molecule from those of its rows
blinking          on and off times
resolution        NeNA, FRC and decorrelation of a table, in one record
nena              localization precision from molecules seen in consecutive frames, by their own uncertainties
next_frame        pairs of rows in consecutive frames
same_molecule     distances of one molecule and of strangers: the mixture that is fitted
frc               Fourier ring correlation of blocks of time
crossings         where a correlation falls below 1/7, and whether that means anything
returns           molecules that come back, counted
tiles             squares of a field that images are made of
decorrelation     resolution of one image
resolution_plots  distances and correlation, drawn
"""
