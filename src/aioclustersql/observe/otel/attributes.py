"""A cluster and its nodes in the words of OpenTelemetry's semantic conventions."""

from __future__ import annotations

__all__ = ["ERROR_TYPE", "NODE", "POOL", "STATE", "pool_attributes", "server_attributes"]

POOL = "db.client.connection.pool.name"
STATE = "db.client.connection.state"
ERROR_TYPE = "error.type"
NODE = "aioclustersql.node"

_SYSTEMS = {
    "asyncpg": "postgresql",
    "psycopg": "postgresql",
    "aiomysql": "mysql",
    "asyncmy": "mysql",
    "aiosqlite": "sqlite",
}


def pool_attributes(cluster: str, driver: str | None) -> dict[str, str]:
    """Which cluster it is."""
    return {POOL: cluster, "db.system.name": _SYSTEMS.get(driver or "", "other_sql")}


def server_attributes(node: str, address: str) -> dict[str, str | int]:
    """Which node it is, and where: of "db1:5432", "[::1]:5432" or a socket's path."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and not address.startswith("/"):
        return {NODE: node, "server.address": host.strip("[]"), "server.port": int(port)}
    return {NODE: node, "server.address": address}
