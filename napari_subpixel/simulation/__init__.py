"""Movies with truth.

settings    `Simulation`: what is simulated, each field with its unit
structures  where the molecules are
blinking    when they are on, and their photons
stage       drift and fiducials
simulate    the movie and its truth
"""
