"""What is done: drain, resume and expire a node, for who knows the token.

Rules: the token comes in a header, which no other site's page can make a browser send, and is compared in constant time; what was
done, and who was refused, is logged; the token never is.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...cluster import Cluster
from ...errors import NotOpen, UnknownNode, WrongLoop
from .limiter import Limiter

__all__ = ["act"]

DRAIN = 30.0
"""Seconds that the users of a drained node have to give their connections back, where nothing else is asked for."""
MAX_DRAIN = 3600.0
_ACTIONS = ("drain", "resume", "expire")
_log = logging.getLogger("aioclustersql.web")


async def act(request: Request) -> Response:
    """POST /nodes/{cluster}/{node}/{action}."""
    if (refused := _refused(request)) is not None:
        return refused
    where, action = request.path_params["node"], request.path_params["action"]
    found = [(each, node) for each in request.app.state.clusters for node in each.nodes if f"{each.name}/{node}" == where]
    if not found or action not in _ACTIONS:
        return _error(404, f"there is no node {where!r}" if action in _ACTIONS else f"there is no action {action!r}")
    cluster, node = found[0]
    timeout = _timeout(request.query_params.get("timeout"))
    if timeout is None:
        return _error(400, f"timeout is a number of seconds, from 0 to {MAX_DRAIN:.0f}")
    client = request.client.host if request.client is not None else "an unknown address"
    _log.info("cluster %s: node %s: %s, asked for from %s", cluster.name, node, action, client)
    try:
        interrupted = await _do(cluster, node, action, timeout)
    except UnknownNode as exc:
        return _error(404, str(exc))
    except (NotOpen, WrongLoop) as exc:
        return _error(409, str(exc))
    return JSONResponse({"cluster": cluster.name, "node": node, "action": action, "interrupted": interrupted})


async def _do(cluster: Cluster[Any], node: str, action: str, timeout: float) -> int | None:
    match action:
        case "drain":
            return await cluster.drain_node(node, timeout=timeout)
        case "resume":
            cluster.resume_node(node)
        case "expire":
            cluster.expire(node)
    return None


def _refused(request: Request) -> Response | None:
    token: str | None = request.app.state.token
    if token is None:
        return _error(403, "this page only shows: no token is configured")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return None
    refusals: Limiter = request.app.state.refusals
    if (skipped := refusals.allow("refused", asyncio.get_running_loop().time())) is not None:
        client = request.client.host if request.client is not None else "an unknown address"
        _log.warning("an action was refused to %s: no token or a wrong one (and %d before)", client, skipped)
    challenge = 'Bearer realm="aioclustersql"' + (', error="invalid_token"' if given else "")
    return _error(401, "the token is missing or wrong", {"WWW-Authenticate": challenge})


def _timeout(text: str | None) -> float | None:
    try:
        value = DRAIN if text is None else float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value <= MAX_DRAIN else None


def _error(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": text}, status, headers)
