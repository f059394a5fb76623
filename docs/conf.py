"""The site: Sphinx with MyST; every number, formula and picture comes from the package, the proofs and the records."""

import shutil
import sys
from hashlib import sha256
from pathlib import Path

import ufm
from ufm.share import locate

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "ufm"
author = "The ufm developers"
copyright = "The ufm developers, MIT licence"
version = release = ufm.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "mathml_formulae",
    "docstrings",
    "generated",
]
exclude_patterns = ["extensions", "generated/*-table.md", "**/.ipynb_checkpoints"]
nitpicky = False

# Formulae are MathML, written at build time: nothing is fetched, and no script runs, when a page is read.
html_math_renderer = "mathml"
myst_enable_extensions = ["amsmath", "attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3


def runs_of_this_code(folder: Path) -> Path:
    """Where runs of the tutorials are kept: those of other code are thrown away, so that no page shows what it said."""
    root = Path(ufm.__file__).parent
    code = [path.read_bytes() for path in sorted((*root.rglob("*.py"), *locate("derivations").rglob("*.py")))]
    kept = folder / sha256(b"".join(code)).hexdigest()[:12]
    if not kept.exists():
        shutil.rmtree(folder, ignore_errors=True)
    kept.mkdir(parents=True, exist_ok=True)
    return kept


# Tutorials are run when the site is built; one that fails, fails the build.
nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_cache_path = str(runs_of_this_code(Path(__file__).parents[1] / "build" / "tutorials"))
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True, "show-inheritance": False}
default_role = "code"

html_theme = "furo"
html_title = "ufm"
html_static_path = ["_static"]
html_extra_path = ["generated/report.html"]
html_css_files = ["site.css"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5c8a", "color-brand-content": "#0b5c8a"},
    "dark_css_variables": {"color-brand-primary": "#7cc4ee", "color-brand-content": "#7cc4ee"},
}
suppress_warnings = ["myst.header"]
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True
