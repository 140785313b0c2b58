"""What the error codes of MySQL and MariaDB mean, for every driver of theirs. Tables, and the one code that needs its text.

Server codes: https://mariadb.com/docs/server/reference/error-codes and
https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html; from 2000 on the client's own (errmsg.h).
"""

from __future__ import annotations

import re

from ...failure import FailureKind

__all__ = ["HOST_BLOCKED_NOTE", "classify_code"]

_CODES: dict[FailureKind, tuple[int, ...]] = {
    FailureKind.CONFIGURATION: (
        *(1043, 1044, 1045, 1049, 1698),  # handshake, no right, wrong password, no such database
        *(1130, 1251, 1275, 1524, 3159),  # host not allowed; authentication plug-ins; TLS demanded
        *(1820, 1862, 3118, 3955, 4150, 4151),  # password expired, account locked or blocked
        *(2005, 2026, 2049, 2054, 2059, 2061),  # no such host, TLS, authentication plug-ins
    ),
    FailureKind.OVERLOADED: (1040, 1203, 1226),
    FailureKind.HOST_BLOCKED: (1129,),
    FailureKind.UNREACHABLE: (1053, 1077, 1079, 2002, 2003, 3032, 3168),
    FailureKind.NOT_READY: (1047,),
    FailureKind.SESSION_LOST: (
        *(1152, 1158, 1159, 1160, 1161, 1184, 1927, 3169),  # aborted, network errors seen by the server, killed
        *(2006, 2012, 2013, 2014, 2027, 2055),  # gone, lost, out of step
    ),
    FailureKind.IDLE_CLOSED: (4031,),
    FailureKind.ROLE_CHANGED: (1792, 1836, 1874),
    # 1020 is a conflict under MariaDB's snapshot isolation, 3101 one in group replication, 1613 and 1614 are XA's.
    FailureKind.ROLLED_BACK: (1020, 1213, 1613, 1614, 3101),
    FailureKind.LOCK_TIMEOUT: (1205,),
    FailureKind.INTERRUPTED: (1317, 1969, 3024, 3572),
    FailureKind.OUTCOME_UNKNOWN: (1180,),
}
_KINDS = {code: kind for kind, codes in _CODES.items() for code in codes}

_OPTION_PREVENTS_STATEMENT = 1290
_READ_ONLY = re.compile(r"read[-_ ]only", re.IGNORECASE)

HOST_BLOCKED_NOTE = (
    "The server refuses this client host since it saw max_connect_errors interrupted handshakes from it without a "
    "successful login between (bare TCP health checks and cut-off logins count). Somebody with the right to must run "
    "FLUSH HOSTS there (from MySQL 8.4 on: TRUNCATE TABLE performance_schema.host_cache); no client can."
)
"""Added to error 1129, which nothing but an administrator ends."""


def classify_code(code: int, message: str = "") -> FailureKind | None:
    """The meaning of an error's code; None where it is the statement's own business.

    1290 is about every option that forbids a statement (`--secure-file-priv` too), so its message is read.
    """
    if code == _OPTION_PREVENTS_STATEMENT:
        return FailureKind.ROLE_CHANGED if _READ_ONLY.search(message) else None
    return _KINDS.get(code)
