"""The parts that the panels are put together from."""
