"""What a MariaDB or MySQL server says of itself: role, and readiness in a Galera cluster or lag behind a primary.

Rule: one round trip, but for a replica, which is asked for its lag, and where the answer shall be causal.
The states: https://galeracluster.com/library/documentation/node-states.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...node import Role
from ..base import Observation
from .wire import Wire, is_on, text

__all__ = ["observe_galera", "probe"]

# Needs no privilege, and is answered outside of the primary component too, where every table is refused. In a query with an
# aggregate of its own MariaDB (10.11) would answer 0 for every boolean variable: hence the subquery.
_GALERA = """
SELECT @@global.read_only, @@global.wsrep_on, @@global.wsrep_reject_queries, (
       SELECT GROUP_CONCAT(variable_name, '=', variable_value) FROM information_schema.global_status
        WHERE variable_name IN ('wsrep_ready', 'wsrep_local_state', 'wsrep_cluster_status'))"""
_CAUSAL = "SET STATEMENT wsrep_sync_wait=1 FOR SELECT 1"
_PLAIN = "SELECT @@global.read_only"
_REPLICA = ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS")  # the first is MySQL's from 8.0.22 on and MariaDB's from 10.5 on
_LAG = ("Seconds_Behind_Source", "Seconds_Behind_Master")

_SYNTAX, _UNKNOWN_VARIABLE, _UNREADY, _WAITED_IN_VAIN = 1064, 1193, 1047, 1205
_NO_RIGHT = frozenset({1142, 1227})
_SYNCED, _DONOR = "4", "2"
_CAUSES = {_DONOR: "a donor of a state transfer, or desynced", "3": "catching up with its cluster"}


async def probe(wire: Wire, conn: Any, *, causal: bool) -> Observation:
    """As `Driver.probe`."""
    if "MariaDB" in conn.get_server_info():
        try:
            if causal and not await _caught_up(wire, conn):
                return Observation(Role.PEER, ready=False, cause="not ready (1047): outside of its cluster's primary component")
            ((read_only, galera, rejects, status),) = await wire.rows(conn, _GALERA)
        except wire.error as exc:
            if wire.error_code(exc) != _UNKNOWN_VARIABLE:  # built without Galera
                raise
        else:
            if is_on(galera) and status is not None:
                said = dict(part.split("=", 1) for part in text(status).lower().split(","))
                return observe_galera(said, read_only=is_on(read_only), rejects=text(rejects).upper() != "NONE")
            return await _plain(wire, conn, read_only)
    ((read_only,),) = await wire.rows(conn, _PLAIN)
    return await _plain(wire, conn, read_only)


def observe_galera(status: Mapping[str, str], *, read_only: bool, rejects: bool) -> Observation:
    """What the status variables of a Galera node (names and values in lower case) mean."""
    role = Role.READ_ONLY if read_only else Role.PEER
    state = status.get("wsrep_local_state", "")
    if status.get("wsrep_cluster_status") != "primary":
        cause = "not ready (1047): outside of its cluster's primary component"
    elif rejects:
        cause = "it rejects queries (wsrep_reject_queries)"
    elif status.get("wsrep_ready") != "on":
        cause = f"not ready (wsrep_local_state {state})"
    elif state != _SYNCED:
        why = _CAUSES.get(state, f"wsrep_local_state {state}")
        return Observation(role, degraded=True, cause=why, lag=0.0, lag_bytes=0)
    else:
        return Observation(role, lag=0.0, lag_bytes=0)
    return Observation(role, ready=False, cause=cause)


async def _caught_up(wire: Wire, conn: Any) -> bool:
    """Wait until the node has applied what its cluster had committed by now. Without Galera there is nothing to wait for."""
    try:
        await wire.rows(conn, _CAUSAL)
    except wire.error as exc:
        if wire.error_code(exc) not in (_UNREADY, _WAITED_IN_VAIN):
            raise
        return False
    return True


async def _plain(wire: Wire, conn: Any, read_only: Any) -> Observation:
    if not is_on(read_only):
        return Observation(Role.PRIMARY, lag=0.0, lag_bytes=0)
    return Observation(Role.STANDBY, lag=await _lag(wire, conn))


async def _lag(wire: Wire, conn: Any) -> float | None:
    """The greatest lag of its replication channels; 0.0 where it follows nobody, None where it, or we, may not know."""
    channels: Sequence[Mapping[str, Any]] = ()
    for statement in _REPLICA:
        try:
            channels = await wire.named_rows(conn, statement)
        except wire.error as exc:
            if wire.error_code(exc) in _NO_RIGHT:
                return None
            if wire.error_code(exc) != _SYNTAX or statement is _REPLICA[-1]:
                raise
        else:
            break
    lags = [channel[name] for channel in channels for name in _LAG if name in channel]
    return None if None in lags else float(max(lags, default=0))
