"""The servers that integration tests meet. One that cannot start is a failure, never a reason to skip."""

from tests.servers.fixtures_galera import galera, galera_cluster, proxy
from tests.servers.fixtures_postgres import postgres, postgres_cluster

__all__ = ["galera", "galera_cluster", "postgres", "postgres_cluster", "proxy"]
