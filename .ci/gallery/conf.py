"""Sphinx's configuration of the gallery; `build_site.py` beside it makes the pages and runs Sphinx."""

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml

import retina_nb

HERE = Path(__file__).parent
KINDS = ("function", "class", "exception")

project = "retina_nb"
author = "retina_nb contributors"
version = release = retina_nb.__version__
extensions = [
    "myst_nb",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["**/*.failed.ipynb"]
templates_path = [str(HERE / "templates")]
suppress_warnings = ["config.cache"]  # nothing is built twice

# Notebooks come executed. A widget needs a kernel, and its JavaScript the network: what is shown is its picture.
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

# `name` is code, and a link where it is the name of something here.
default_role = "py:obj"
add_module_names = False
autosummary_ignore_module_all = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = "retina_nb"
html_static_path = [str(HERE / "site.css")]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_domain_indices = False
html_sourcelink_suffix = ""  # the source of a notebook's page is the executed notebook
html_sidebars = {"index": [], "tables": []}
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": "retina_nb"},
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc", "sourcelink"],
    "footer_start": [],
    "footer_end": [],
    "show_prev_next": True,
    "navigation_with_keys": False,
}


def described(module: str) -> list[tuple[str, str]]:
    """Kind and name of what the page of a module describes: functions first, in the order of the source."""
    found = import_module(module)
    names = getattr(found, "__all__", None) or [name for name in vars(found) if is_own(found, name)]
    kinds = {name: documenter(getattr(found, name)) for name in names if name not in elsewhere(module)}
    return sorted(((kind, name) for name, kind in kinds.items() if kind), key=lambda one: KINDS.index(one[0]))


def is_own(module: ModuleType, name: str) -> bool:
    return not name.startswith("_") and getattr(getattr(module, name), "__module__", None) == module.__name__


def documenter(value: Any) -> str | None:
    if isinstance(value, type):
        return "exception" if issubclass(value, Exception) else "class"
    return "function" if callable(value) else None


def elsewhere(module: str) -> dict[str, str]:
    """Names in a module that a package above it exports, with the full name under which they are described."""
    above = [module.rsplit(".", count)[0] for count in range(1, module.count(".") + 1)]
    exported = {one: getattr(import_module(one), "__all__", []) for one in above}
    own = getattr(import_module(module), "__all__", None) or vars(import_module(module))
    return {name: f"{one}.{name}" for one in above for name in own if name in exported[one]}


autosummary_context = {"described": described, "elsewhere": elsewhere}


def link_by_name(app, env, node, contnode):
    """What a name means if not something of the module that is described: the only function or class of that name."""
    path, _, name = node["reftarget"].removesuffix("()").rpartition(".")
    if path and not path.startswith("retina_nb"):
        return None
    domain = env.domains.python_domain
    found = [one for one, entry in domain.objects.items() if one.endswith(f".{name}") and entry.objtype in KINDS]
    if node.get("refdomain") != "py" or len(found) != 1:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", found[0], node, contnode)


def keep_whole(app, what, name, obj, options, lines):
    """Put back what napoleon took for the type of a property: it was the beginning of a sentence with a colon."""
    for number, line in enumerate(lines):
        if what == "property" and line.startswith(":type: "):
            lines[0] = f"{line.removeprefix(':type: ')}: {lines[0]}"
            lines[number] = ""


def math(self, node):
    """Formulas as MathML, which browsers draw without a script."""
    formula = re.sub(r"^(?=[_^])", "{}", node.astext())
    made = latex2mathml.tex2mathml(formula, as_block=isinstance(node, nodes.math_block))
    self.body.append(made.replace("<mo>&ApplyFunction;</mo>", '<mspace width="0.17em"/>'))  # log n, not logn
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (math, None), (math, None))
    app.connect("autodoc-process-docstring", keep_whole, priority=600)
    app.connect("missing-reference", link_by_name)
