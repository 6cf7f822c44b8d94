"""Movies with truth."""
