"""The page's template and files, out of the package. Untrusted text is escaped by the template engine, always."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

__all__ = ["render", "static"]

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _static() -> dict[str, tuple[bytes, str, str]]:
    """Every file by its name: its bytes, its type, its tag."""
    found = {}
    for file in files(__package__).joinpath("static").iterdir():
        body = file.read_bytes()
        tag = hashlib.sha256(body).hexdigest()[:16]
        found[file.name] = (body, _TYPES[file.name.rpartition(".")[2]], f'"{tag}"')
    return found


def render(template: str, **values: Any) -> str:
    """A template, filled in."""
    return _templates().get_template(template).render(**values)


async def static(request: Request) -> Response:
    """GET /static/{name}: asked for anew each time, and sent when it has changed."""
    found = _static().get(request.path_params["name"])
    if found is None:
        return PlainTextResponse("there is no such file\n", 404)
    body, kind, tag = found
    headers = {"Cache-Control": "no-cache", "ETag": tag, "Content-Type": kind}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers)
