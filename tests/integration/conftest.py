"""The servers that integration tests meet. One that cannot start is a failure, never a reason to skip."""

from tests.integration.snippets import db_hosts, maria_hosts
from tests.servers.fixtures_galera import galera, galera_cluster, galera_turn, proxy
from tests.servers.fixtures_postgres import postgres, postgres_cluster

__all__ = ["db_hosts", "galera", "galera_cluster", "galera_turn", "maria_hosts", "postgres", "postgres_cluster", "proxy"]
