"""What a PostgreSQL server says of itself, in one round trip: role, timeline, and how far it is behind.

Rule: what a standby cannot know is None. One without a receiver would count no lag at all, however long its primary is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...node import Role
from ..base import Observation

__all__ = ["QUERY", "ROLE_QUERY", "observation", "role"]

ROLE_QUERY = "select pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'"

# Any role may ask this; without pg_monitor the columns of pg_stat_wal_receiver but `pid` are null, and the timeline of a
# standby is unknown (0). https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-CONTROL
QUERY = """
select r.rec as in_recovery,
       current_setting('transaction_read_only') = 'on' as read_only,
       case when r.rec then coalesce(w.received_tli, 0)
            else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
       case when not r.rec then 0
            else greatest(
                pg_wal_lsn_diff(greatest(w.latest_end_lsn, pg_last_wal_receive_lsn()), pg_last_wal_replay_lsn()), 0)::bigint
            end as lag_bytes,
       case when not r.rec or pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn() then 0
            else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8 end as lag,
       w.pid is not null as has_receiver
  from (select pg_is_in_recovery() as rec) r left join pg_stat_wal_receiver w on true
"""


def observation(row: Sequence[Any]) -> Observation:
    """What the answer to `QUERY` means. A PostgreSQL server that does not serve lets nobody in, so whoever answers is ready."""
    in_recovery, read_only, timeline, lag_bytes, lag, has_receiver = row
    if not in_recovery:
        return Observation(Role.READ_ONLY if read_only else Role.PRIMARY, timeline=timeline, lag=0.0, lag_bytes=0)
    known = timeline or None
    if not has_receiver:
        return Observation(Role.STANDBY, timeline=known)
    return Observation(Role.STANDBY, timeline=known, lag=lag, lag_bytes=lag_bytes)


def role(*, in_recovery: bool, read_only: bool) -> Role:
    """The role of a server that says this of itself."""
    if in_recovery:
        return Role.STANDBY
    return Role.READ_ONLY if read_only else Role.PRIMARY
