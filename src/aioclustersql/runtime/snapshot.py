"""Builds `NodeStats` out of what is known of a node. Reads only; safe from any thread."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..policy.ledger import Book
from ..policy.ranking import Fit
from ..stats import ClusterStats, NodeStats
from .member import Member

if TYPE_CHECKING:
    from datetime import datetime

    from .engine import Engine

__all__ = ["cluster_stats", "node_stats"]


def cluster_stats(engine: Engine[Any], created: datetime, target: str) -> ClusterStats:
    """The cluster as it is now."""
    registry, pool = engine.registry, engine.pool
    now = engine.connector.now
    totals, limits = registry.journal.totals, engine.limits
    books = {} if pool is None else dict(pool.ledger.books)
    return ClusterStats(
        name=registry.cluster,
        driver=registry.driver.name if registry.has_driver else None,
        target=target,
        open=engine.is_open,
        first_instantiated=created,
        hedge_tokens=engine.connector.hedge_tokens,
        waiting=0 if pool is None else pool.ledger.waiting,
        lease_time=None if pool is None else pool.ledger.use,
        nodes={
            member.name: node_stats(member, books.get(member.name), now, waiting=_waiting(engine, member, now))
            for member in registry.members
        },
        min_size=limits.min_size,
        max_size=limits.max_size,
        max_total=None if limits.max_total == math.inf else int(limits.max_total),
        wait_times=totals.waits.frozen(totals.at_once),
        timeouts=totals.timeouts,
        turned_away=totals.turned_away,
        runs=totals.runs,
        retries=totals.retries,
        unknown=totals.unknown,
    )


def _waiting(engine: Engine[Any], member: Member[Any], now: float) -> int:
    """Who waits and would be served there."""
    pool = engine.pool
    if pool is None or not pool.ledger.waiting or not member.usable:
        return 0
    groups = list(pool.ledger.groups.items())  # other threads may ask
    serves = engine.registry.standing.serves
    return sum(len(group) for wants, group in groups if serves(member, wants, now) is not Fit.NO)


def node_stats(member: Member[Any], book: Book | None, now: float, *, waiting: int = 0) -> NodeStats:
    """One node as it is now."""
    counters = member.counters
    attempts = tuple(member.attempts)
    refused = member.refused(now)
    return NodeStats(
        name=member.name,
        address=member.endpoint.address,
        weight=member.weight,
        health=member.breaker.health,
        role=member.role,
        writer=member.writer,
        cause=member.breaker.cause or member.superseded or member.degraded or refused,
        avoided=refused is not None,
        degraded=member.degraded is not None,
        draining=member.draining,
        connections=counters.connections,
        errors=counters.errors,
        last_success=member.last_success,
        last_error=member.last_error,
        last_error_message=member.last_error_message,
        wins=counters.wins,
        losses=counters.losses,
        hedges=counters.hedges,
        logins=counters.logins,
        cut=counters.cut,
        connecting=len(attempts),
        stragglers=sum(attempt.lost for attempt in attempts),
        open=member.open_connections,
        idle=0 if book is None else len(book.idle),
        leased=0 if book is None else len(book.leased),
        returning=0 if book is None else len(book.returning),
        latency=member.latency.estimate(now),
        p50=member.latency.quantile(0.5, now),
        p95=member.latency.quantile(0.95, now),
        round_trip=member.round_trip.estimate(now),
        timeline=member.timeline,
        lag=member.lag,
        lag_bytes=member.lag_bytes,
        observed=member.observed,
        since=member.since,
        waiting=waiting,
        interrupted=counters.interrupted,
        login_times=member.login_times.frozen(),
        lease_times=member.lease_times.frozen(),
    )
