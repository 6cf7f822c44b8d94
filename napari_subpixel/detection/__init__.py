"""Frames in, localizations out.

job              one movie to be detected, and how
options          how movies are detected, besides the detector
mending          bad pixels interpolated from good ones
saturated        molecules that hold saturated pixels
chunks           how many frames are read, detected and kept at once
brightness       how bright a movie's molecules are, and how far they stand out of the noise
detector         `Detector`: the steps below, in their order
devices          the devices that a network can run on
candidates       where something stands out of the noise of a frame, and squares round it
tiling           frames cut into the crops that pass through a network at once
inference        a network on its device: crops in, points out
points           the points between these steps, as named arrays
merging          points that are alternatives of one molecule become one
refinement       the last steps of isolated molecules: Fisher scoring
slopes           how the background rises and falls under them
fragments        fragments of one molecule that is not round become one
significance     how far points stand out of the noise
torch_threads    threads side by side, each of which runs PyTorch's layers alone
"""
