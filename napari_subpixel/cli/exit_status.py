"""What the exit status of the command line says."""

from __future__ import annotations

#: Everything was done.
DONE = 0
#: Some inputs of several failed; the others are done.
SOME_FAILED = 1
#: Bad arguments or input.
BAD_INPUT = 2
#: Interrupted by the user: 128 + SIGINT.
INTERRUPTED = 130
