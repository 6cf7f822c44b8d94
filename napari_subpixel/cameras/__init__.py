"""Known cameras by name.

presets     the shipped cameras, a YAML file each in this folder, and the user's own
"""

from __future__ import annotations

from napari_subpixel.cameras.presets import all_presets, preset, preset_file, save_preset

__all__ = ["all_presets", "preset", "preset_file", "save_preset"]
