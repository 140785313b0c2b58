"""What the pool says when it has to say no: where a connection was taken, and what everybody was doing meanwhile."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import AcquireTimeout

if TYPE_CHECKING:
    from .pool import Pool
    from .pooled import Waiting

__all__ = ["here", "timed_out"]

C = TypeVar("C")

_OURS = __name__.partition(".")[0] + "."


def here() -> str:
    """The file and line of the nearest caller outside this library."""
    frame = sys._getframe(1)
    while frame.f_back is not None and (frame.f_globals.get("__name__", "").startswith(_OURS) or _is_loop(frame)):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _is_loop(frame: Any) -> bool:
    return str(frame.f_globals.get("__name__", "")).split(".")[0] in ("asyncio", "contextlib")


def timed_out(pool: Pool[C], waiter: Waiting[C], now: float) -> AcquireTimeout:
    """The error of somebody who waited in vain."""
    books = pool.ledger.books
    leased = [slot for book in books.values() for slot in book.leased]
    text = (
        f"cluster {pool.registry.cluster!r}: no connection within {now - waiter.since:.3g} s "
        f"(target {waiter.wants.target}{_lag(waiter)}); "
        f"{pool.ledger.waiting} waiting, {len(leased)} of {pool.ledger.total} connections leased; "
    )
    text += pool.registry.each(lambda member: _doing(pool, member.name)) or "no node is registered"
    held = [slot for slot in leased if getattr(slot, "owner", None) is waiter.task and waiter.task is not None]
    if held:
        places = ", ".join(getattr(slot, "taken_at", None) or slot.book.name for slot in held)
        hint = "" if pool.settings.debug else " (debug=True says where they were taken)"
        text += (
            f"; this task itself holds {len(held)} of them, from {places}{hint}: do not acquire a second one while holding one"
        )
    return AcquireTimeout(text, {name: failed.error for name, failed in pool.opener.errors.items() if name in books})


def _lag(waiter: Waiting[Any]) -> str:
    wants = waiter.wants
    limits = []
    if wants.max_lag != float("inf"):
        limits.append(f"max_lag {wants.max_lag:g} s")
    if wants.max_lag_bytes != float("inf"):
        limits.append(f"max_lag_bytes {wants.max_lag_bytes:g}")
    return ", " + ", ".join(limits) if limits else ""


def _doing(pool: Pool[Any], name: str) -> str:
    member, book = pool.registry.get(name), pool.ledger.books[name]
    state = [str(member.breaker.health), str(member.role)]
    if member.draining:
        state.append("draining")
    state.append(f"{len(book.leased)} leased, {len(book.idle)} idle, {book.connecting} connecting")
    error = pool.opener.errors.get(name)
    cause = member.breaker.cause or member.superseded or (error.text if error is not None else None)
    return ", ".join(state) + (f" ({cause})" if cause else "")
