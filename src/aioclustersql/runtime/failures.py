"""What is said of failures: a line without secrets, the error that names every node, and whether time may heal it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..drivers.base import Driver
from ..errors import AllNodesFailed, NodeNotFit
from ..failure import FailureKind
from ..node import Target

__all__ = ["Failed", "all_failed", "describe", "is_lasting", "labelled"]


def describe(exc: BaseException, *secrets: str | None) -> str:
    """An exception in one line, without the passwords, and with the socket's error that a driver's may hide."""
    text = f"{type(exc).__name__}: {' '.join(str(exc).split())}".removesuffix(": ")
    cause = exc.__cause__
    if isinstance(cause, OSError) and str(cause) not in text:
        text += f" ({type(cause).__name__}: {cause})"
    for secret in secrets:
        if secret:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return text


def labelled(name: str, address: str) -> str:
    """A node as messages name it."""
    return name if name == address else f"{name} ({address})"


class Failed(NamedTuple):
    """How a login failed: the node as messages name it, the exception, and what it says without the password."""

    label: str
    error: BaseException
    text: str


def is_lasting(driver: Driver[Any], error: BaseException) -> bool:
    """Whether time does not heal it: a wrong password, a target that has no meaning there."""
    if isinstance(error, NodeNotFit):
        return error.lasting
    return driver.classify(error) is FailureKind.CONFIGURATION


def all_failed(target: Target, failed: Mapping[str, Failed]) -> AllNodesFailed:
    """The error that names every node and its cause."""
    parts = "; ".join(f"{failed[name].label}: {failed[name].text}" for name in sorted(failed))
    errors = {name: each.error for name, each in failed.items()}
    error = AllNodesFailed(f"every node failed (target {target}): {parts}", errors)
    # Without their tracebacks, which are our own frames and the driver's, once for every node.
    causes = [exc.with_traceback(None) for exc in errors.values() if isinstance(exc, Exception)]
    error.__cause__ = ExceptionGroup("the nodes' errors", causes) if causes else None
    return error
