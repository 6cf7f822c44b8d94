"""How Sphinx builds the documents: sphinx-build docs docs/_build/html."""

from napari_subpixel import __version__

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
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "py:obj"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's sections say it
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"napari-subpixel {release}"
