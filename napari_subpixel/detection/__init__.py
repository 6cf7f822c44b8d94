"""Frames in, localizations out."""
