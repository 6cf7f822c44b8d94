"""How Sphinx builds the documents: sphinx-build docs docs/_build/html."""

import re
import sys
from pathlib import Path
from types import GenericAlias

from napari_subpixel import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "napari-subpixel"
author = "napari-subpixel developers"
copyright = "2026, napari-subpixel developers"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_design",
    "from_code",
]
exclude_patterns = ["_build", "_ext"]
templates_path = ["_templates"]
default_role = "py:obj"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's sections say it
numpydoc_show_class_members = False
suppress_warnings = ["ref.citation"]  # references of a docstring that its text does not number

html_theme = "furo"
html_title = f"napari-subpixel {release}"


def setup(app):
    """Hook into autodoc."""
    app.connect("autodoc-skip-member", skip_aliases)
    app.connect("autodoc-process-docstring", escape_stars, priority=100)


def skip_aliases(app, what, name, member, skip, options):
    """Leave out names for types, such as ``tuple[int, int]``: autodoc takes them for classes."""
    return True if isinstance(member, GenericAlias) else None


def escape_stars(app, what, name, obj, options, lines):
    """Escape the star of shapes such as ``(B, *grid)``, which would begin an emphasis."""
    lines[:] = [re.sub(r"(?<=[ (])\*(?=\w+\))", r"\\*", line) for line in lines]
