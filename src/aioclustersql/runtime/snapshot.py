"""Builds `NodeStats` out of what is known of a node. Reads only; safe from any thread."""

from __future__ import annotations

from typing import Any

from ..stats import NodeStats
from .member import Member

__all__ = ["node_stats"]


def node_stats(member: Member[Any], now: float) -> NodeStats:
    """One node as it is now."""
    counters = member.counters
    attempts = tuple(member.attempts)
    return NodeStats(
        name=member.name,
        address=member.endpoint.address,
        weight=member.weight,
        health=member.breaker.health,
        role=member.role,
        writer=member.writer,
        cause=member.breaker.cause or member.superseded or member.degraded,
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
        latency=member.latency.estimate(now),
        p50=member.latency.quantile(0.5, now),
        p95=member.latency.quantile(0.95, now),
        round_trip=member.round_trip.estimate(now),
        timeline=member.timeline,
        lag=member.lag,
        lag_bytes=member.lag_bytes,
        observed=member.observed,
    )
