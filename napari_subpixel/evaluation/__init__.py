"""A result and its truth, scored."""
