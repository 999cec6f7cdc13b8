# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx configuration: `sphinx-build -W -n docs docs/_build`."""

import os
import sys
from pathlib import Path

import fastdrop

sys.path.insert(0, str(Path(__file__).parent))  # for the modules that are here

project = "fastdrop"
author = "fastdrop developers"
copyright = "2026, fastdrop developers"
release = fastdrop.__version__
version = ".".join(release.split(".")[:2])

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "attribute_entries",
    "breakable_code",
    "dashboard",
    "gallery_images",
    "hinted_signatures",
    "static_reference",
]
exclude_patterns = [
    "_build",
    "_redirects",
    "_templates",
    "gallery",
    "history-table.md",
    "performance-family.md",
    "performance-tables.md",
]
templates_path = ["_templates"]
default_role = "autolink"

# Markdown. Formulas are text: MathJax would come from a network, and not every builder has it.
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Reference. Sphinx would spell out every union; `hinted_signatures.py` shows types by the
# names that the sources give them, which `reference/types.md` explains.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
maximum_signature_line_length = 72  # longer ones have a line for each argument

# Links into NumPy's documentation need its inventory, which is fetched. Only this and
# `dashboard.py` use a network, and only for those who ask for it. Without it such names stay plain
# text.
if os.environ.get("FASTDROP_DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
    }
# Names of PyTorch stay plain text too, and what signatures take from NumPy and from `typing`.
nitpick_ignore_regex = [
    (r"py:.*", r"(np|numpy|torch|nn|jax|flax|da|dask|fd)(\..*)?|Source|Array"),
    (r"py:class", r"(Array|DType)Like|(ND|Bool)Array|(Scalar|Module)T|_Block|contextlib\..*"),
    (r"py:class", r"Generator|RandomState|Self"),
]

# Every example is executed: `sphinx-build -b doctest docs docs/_build`. Examples in docstrings
# take their imports for granted, as NumPy's do.
# Those that need an extra, such as PyTorch or xarray, are skipped where it is not installed. The
# page of recipes asks for others by `find_spec`.
doctest_global_setup = """
import numpy as np
import fastdrop as fd
from importlib.util import find_spec
def found(name):
    return __import__(name) if find_spec(name) else None
names = "torch", "sklearn", "dask", "xarray", "jax", "flax"
torch, sklearn, dask, xarray, jax, flax = map(found, names)
"""

# The gallery: each example is run, and any that fails fails the build. `gallery_style.py` is in
# this folder. Where figures are not wanted: `-D plot_gallery=0`.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"(plot_\w+|networks)\.py$",
    "within_subsection_order": "gallery_style.Order",
    "reset_modules": ("gallery_style.prepare",),
    "doc_module": ("fastdrop",),
    "backreferences_dir": "auto_examples/backreferences",
    "image_srcset": ["2x"],
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,
    "capture_repr": (),
}

# Prompts and output are left out of what the copy button copies.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "fastdrop"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_extra_path = ["_redirects"]  # pages that have moved
html_css_files = ["fastdrop.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": f"fastdrop {version}"},
    "navbar_align": "left",
    "show_toc_level": 2,
    "header_links_before_dropdown": 5,
    "navigation_with_keys": False,
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
# Pages without pages below them need no bar on the left.
html_sidebars = {
    page: []
    for page in (
        *("index", "getting-started", "torch", "attention", "jax", "dask", "performance"),
        *("comparison", "comparison-functions", "changelog", "contributing", "install"),
        "error-messages",
        *("which-function", "when-not", "faq", "glossary", "history", "measurements"),
    )
}
