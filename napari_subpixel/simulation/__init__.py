"""Movies with truth.

simulate    molecules, their blinking, the movie and its truth
stage       drift and fiducials
"""
