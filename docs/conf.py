"""How Sphinx builds the documentation: `make docs`. Every warning is an error there."""

import re
from importlib import metadata
from typing import Any

project = "aioclustersql"
copyright = "the aioclustersql developers"
release = metadata.version("aioclustersql")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["README.md"]
html_theme = "furo"
html_title = f"aioclustersql {release}"
html_copy_source = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
default_role = "code"  # as docstrings have it: `name`

_PARAMETER = re.compile(r"\w+(, \w+)*: .*")


def _mark_up(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Make of docstrings as people read them what Sphinx reads.

    Lines like "timeout: seconds", with the indented ones below, become a list of fields; what is indented after an empty line is
    code.
    """
    marked: list[str] = []
    fields = code = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not code and marked and not marked[-1]:
            marked += [".. code-block:: python", ""]
            code = True
        elif line and not indented:
            field = _PARAMETER.fullmatch(line) is not None
            if field != fields:
                marked.append("")
            fields, code = field, False
            line = f":{line}" if field else line
        marked.append(line)
    lines[:] = marked


def setup(app: Any) -> None:
    """Sphinx calls it."""
    app.connect("autodoc-process-docstring", _mark_up)
