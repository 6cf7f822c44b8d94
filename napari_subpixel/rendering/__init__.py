"""Localizations in, super-resolution images out."""
