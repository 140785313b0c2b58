"""The servers that integration tests meet. One that cannot start is a failure, never a reason to skip."""

import pytest

from tests.integration.snippets import db_hosts, maria_hosts
from tests.servers.fixtures_galera import galera, galera_cluster, galera_turn, proxy
from tests.servers.fixtures_postgres import postgres, postgres_cluster
from tests.servers.plain import mariadb, plain

__all__ = [
    "db_hosts",
    "galera",
    "galera_cluster",
    "galera_turn",
    "maria_hosts",
    "mariadb",
    "plain",
    "postgres",
    "postgres_cluster",
    "proxy",
]


@pytest.fixture
def servers_started(request: pytest.FixtureRequest) -> None:
    """The servers of this test run before its sockets are counted: those of the parameter `engine`, or of its fixtures."""
    parameters = request.node.callspec.params.values() if hasattr(request.node, "callspec") else ()
    for name in ("galera", "postgres"):
        if name in parameters or name in request.fixturenames:
            request.getfixturevalue(f"{name}_cluster")
