"""What PostgreSQL's drivers say to make a used session as good as new, and to set again what `init` had set.

Rule: one simple query. The drivers' caches of statements survive it, and so must the prepared statements on the server: no
DISCARD ALL, no DEALLOCATE ALL; what a user prepares by SQL's PREPARE is the one thing that is left over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["MORE", "RESET", "SET_IN_SESSION", "restoring"]

# What RESET ALL leaves: it spares the role, and temporary tables and currval() are no settings. The role of the login, where one
# was set by its options or by ALTER ROLE, is what RESET ROLE goes back to.
MORE = "\nSET SESSION AUTHORIZATION DEFAULT;RESET ROLE;DISCARD TEMP;DISCARD SEQUENCES;"
RESET = "SELECT pg_advisory_unlock_all();CLOSE ALL;UNLISTEN *;RESET ALL;" + MORE

# Role and session authorization are in no view. The order matters: setting the latter resets the former.
SET_IN_SESSION = """
select name, setting, 0 as place from pg_settings
 where source = 'session' and name not in ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')
union all
select 'session_authorization', session_user::text, 1
  from pg_stat_activity where pid = pg_backend_pid() and usename <> session_user
union all
select 'role', current_setting('role'), 2
order by place, name
"""


def restoring(rows: Iterable[Sequence[Any]]) -> str:
    """The statement that sets again what `SET_IN_SESSION` has found."""
    return f"SELECT {', '.join(f'set_config({_quoted(row[0])},{_quoted(row[1])},false)' for row in rows)};"


def _quoted(text: str) -> str:
    """A string literal that means the same whatever `standard_conforming_strings` is."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
