"""The site that Sphinx builds of these pages: `make docs`. On a forge they read as they are."""

from __future__ import annotations

import inspect
import re
from typing import Any

import transreward

project, author, copyright = "TransReward", "TransReward authors", "TransReward authors"
release = transreward.__version__
root_doc = "contents"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_heading_anchors = 4
html_theme, html_title = "furo", "TransReward"
html_static_path, html_css_files, html_js_files = ["_static"], ["site.css"], ["site.js"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = True


def as_markdown(app: Any, what: str, name: str, about: Any, options: Any, lines: list[str]) -> None:
    """Docstrings quote code as Markdown does, with one backtick; Sphinx wants two."""
    lines[:] = [line.replace("``", "`").replace("`", "``").replace("*", r"\*").replace("|", r"\|") for line in lines]


def keep_intervals(app: Any, page: str, source: list[str]) -> None:
    """An interval in a cell of a table is not broken: it has a blank that holds its ends together."""
    lines = source[0].split("\n")
    interval = r"\[(-?[\d,.]*\d), (-?[\d,.]*\d)\]"
    source[0] = "\n".join(re.sub(interval, "[\\1,\u00a0\\2]", line) if line.startswith("|") else line for line in lines)


def write_reference(app: Any) -> None:
    """A page of everything that `transreward` has, from its docstrings."""
    parts = ["# Reference", "", "Everything that `import transreward as tr` has, from its docstrings.", ""]
    for name in transreward.__all__:
        kind = "autoclass" if inspect.isclass(getattr(transreward, name)) else "autofunction"
        members = ["   :members:", "   :exclude-members: count, index"] if kind == "autoclass" else []
        parts += ["```{eval-rst}", f".. {kind}:: transreward.{name}", *members, "```", ""]
    (app.srcdir / "reference.md").write_text("\n".join(parts))


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", write_reference)
    app.connect("source-read", keep_intervals)
    app.connect("autodoc-process-docstring", as_markdown, priority=900)  # behind napoleon
