"""One spelling for each path: Litestar ends the paths of mounted apps with a slash, others leave them as they were asked for."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["WithoutSlash"]


class WithoutSlash:
    """Middleware: a path below the app's root has no slash at its end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if path.endswith("/") and path[:-1] not in ("", scope.get("root_path", "").rstrip("/")):
            scope = {**scope, "path": path[:-1]}
        await self._app(scope, receive, send)
