"""Sphinx's configuration of the gallery; `build.py` beside it makes the pages and runs Sphinx."""

import re
from importlib import import_module
from pathlib import Path

from docutils import nodes
from docutils.utils.math import latex2mathml

import retina_nb

HERE = Path(__file__).parent

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
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = "retina_nb"
html_static_path = [str(HERE / "gallery.css")]
html_css_files = ["gallery.css"]
html_math_renderer = "mathml"
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


def elsewhere(module: str) -> dict[str, str]:
    """Names in a module that a package above it exports, with the full name under which they are described."""
    above = [module.rsplit(".", count)[0] for count in range(1, module.count(".") + 1)]
    names = {one: set(getattr(import_module(one), "__all__", ())) for one in (module, *above)}
    own = names[module] or set(dir(import_module(module)))
    return {name: f"{one}.{name}" for one in above for name in sorted(own & names[one])}


autosummary_context = {"elsewhere": elsewhere}


def link_by_name(app, env, node, contnode):
    """What `name` means if it is not of the module that is described: the only function or class of that name."""
    if node.get("reftype") != "obj" or not re.fullmatch(r"[\w.]+", node["reftarget"]):
        return None
    domain = env.domains.python_domain
    found = [
        (name, entry)
        for name, entry in domain.objects.items()
        if f".{name}".endswith(f".{node['reftarget']}") and entry.objtype in ("function", "class", "exception")
    ]
    if len(found) != 1:
        return None
    name, entry = found[0]
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, contnode)


def keep_whole(app, what, name, obj, options, lines):
    """Napoleon takes what is before a colon for the type of a property, but not behind an empty line."""
    if what == "property":
        lines.insert(0, "")


def math(self, node):
    """Formulas as MathML, which browsers draw without a script."""
    formula = re.sub(r"^(?=[_^])", "{}", node.astext())
    display = not node.parent or node.tagname == "math_block"
    self.body.append(latex2mathml.tex2mathml(formula, as_block=display))
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (math, None), (math, None))
    app.connect("autodoc-process-docstring", keep_whole, priority=400)
    app.connect("missing-reference", link_by_name)
