"""What is said of failed logins: the error that names every node and its cause, and whether time may heal it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..drivers.base import Driver
from ..errors import AllNodesFailed, NodeNotFit
from ..failure import FailureKind
from ..node import Target

__all__ = ["Failed", "all_failed", "is_lasting"]


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
