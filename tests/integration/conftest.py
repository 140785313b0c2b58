"""The servers that integration tests meet. One that cannot start is a failure, never a reason to skip."""

from tests.servers.fixtures_galera import galera, galera_cluster, galera_turn, proxy
from tests.servers.fixtures_postgres import postgres, postgres_cluster

__all__ = ["galera", "galera_cluster", "galera_turn", "postgres", "postgres_cluster", "proxy"]
