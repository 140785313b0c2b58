"""What a Galera node's status variables mean, and how variables are set again; no server is met."""

from __future__ import annotations

import pytest

from aioclustersql.drivers.base import Observation
from aioclustersql.drivers.mysql.probe import observe_galera
from aioclustersql.drivers.mysql.reset import assignment
from aioclustersql.node import Role

SYNCED = {"wsrep_cluster_status": "primary", "wsrep_ready": "on", "wsrep_local_state": "4"}


def test_a_synced_node_is_ready():
    assert observe_galera(SYNCED, read_only=False, rejects=False) == Observation(Role.PEER, lag=0.0, lag_bytes=0)
    assert observe_galera(SYNCED, read_only=True, rejects=False).role is Role.READ_ONLY


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"wsrep_cluster_status": "non-primary"}, "primary component"),
        ({"wsrep_cluster_status": "disconnected"}, "primary component"),
        ({"wsrep_ready": "off", "wsrep_local_state": "1"}, "not ready (wsrep_local_state 1)"),
    ],
)
def test_a_node_that_serves_nothing_is_not_ready_and_says_why(change: dict[str, str], cause: str):
    found = observe_galera(SYNCED | change, read_only=False, rejects=False)
    assert not found.ready
    assert found.cause is not None
    assert cause in found.cause


def test_a_node_that_rejects_queries_is_not_ready():
    assert not observe_galera(SYNCED, read_only=False, rejects=True).ready


@pytest.mark.parametrize(("state", "cause"), [("2", "donor"), ("3", "catching up"), ("7", "wsrep_local_state 7")])
def test_a_node_that_serves_but_is_not_synced_is_degraded(state: str, cause: str):
    found = observe_galera(SYNCED | {"wsrep_local_state": state}, read_only=False, rejects=False)
    assert (found.ready, found.degraded) == (True, True)
    assert found.cause is not None
    assert cause in found.cause


@pytest.mark.parametrize(
    ("name", "value", "kind", "written"),
    [
        ("SQL_MODE", "ANSI", "SET", "SQL_MODE='ANSI'"),
        ("WSREP_SYNC_WAIT", "1", "INT UNSIGNED", "WSREP_SYNC_WAIT=1"),
        ("MAX_STATEMENT_TIME", "2.500000", "DOUBLE", "MAX_STATEMENT_TIME=2.500000"),
        ("@`mine`", "7", "VARCHAR", "@`mine`='7'"),
        ("@`mine`", "it's", "VARCHAR", "@`mine`='it''s'"),
        ("@`mine`", "a\\", "VARCHAR", "@`mine`=CONVERT(x'615c' USING utf8mb4)"),
        ("@`mine`", "ü", "VARCHAR", "@`mine`=CONVERT(x'c3bc' USING utf8mb4)"),
        ("sort_buffer_size", "262144", "", "sort_buffer_size=262144"),
        ("long_query_time", "-1.5", "", "long_query_time=-1.5"),
        ("time_zone", "+01:00", "", "time_zone='+01:00'"),
    ],
)
def test_a_variable_is_set_to_what_it_was_under_every_sql_mode_and_charset(name: str, value: str, kind: str, written: str):
    assert assignment(name, value, kind) == written
