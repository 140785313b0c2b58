"""What is asked for at the cluster, at a node and at one connect arrives on the real connection; and the ways to an address."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

import aioclustersql
from aioclustersql import AllNodesFailed, Cluster, ConfigError, UnknownNode
from aioclustersql.demo.postgres import PostgresCluster
from tests.integration.support import ENGINES, Engine, Galera, Postgres, connect_one_by_one, engine_of
from tests.servers.galera import GaleraCluster
from tests.servers.galera_node import GaleraNode

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("servers_started", "no_leaked_sockets")]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Three healthy servers."""
    return engine_of(request)


async def test_server_settings_of_the_cluster_the_node_and_the_connect(postgres: PostgresCluster) -> None:
    settings = {"application_name": "cluster", "statement_timeout": "7s", "work_mem": "1MB"}
    async with Cluster(driver="asyncpg", connect_options={"server_settings": settings}) as cluster:
        cluster.add_node("pg1", postgres.primary.dsn(), connect_options={"server_settings": {**settings, "work_mem": "2MB"}})
        async with cluster.connect(server_settings={"application_name": "connect"}, command_timeout=3) as conn:
            shown = [await conn.fetchval(f"show {name}") for name in settings]
            assert shown == ["connect", "7s", "2MB"]


async def test_charset_init_command_and_autocommit(galera: GaleraCluster) -> None:
    options = {"charset": "latin1", "init_command": "SET @greeting = 'hello'", "sql_mode": "ANSI"}
    engine = Galera(galera)
    async with engine.unwatched(connect_options=options) as cluster:
        async with cluster.connect() as conn:
            row = "SELECT CONCAT_WS(' ', @greeting, @@character_set_client, @@autocommit + 0, @@sql_mode LIKE '%ANSI%')"
            assert await engine.value(conn, row) == "hello latin1 0 1"
        async with cluster.connect(autocommit=True, charset="utf8mb4", init_command="SET @greeting = 'bye'") as conn:
            assert await engine.value(conn, row) == "bye utf8mb4 1 1"


async def test_an_unknown_option_is_named_before_any_login(engine: Engine) -> None:
    known, typo = ("init_command", "init_comand") if isinstance(engine, Galera) else ("command_timeout", "comand_timeout")
    wrong: dict[str, Any] = {typo: "1"}
    async with engine.unwatched() as cluster:
        with pytest.raises(ConfigError, match=f"{typo}.*{known}"):
            await cluster.connect(**wrong)
        with pytest.raises(ConfigError, match="user"):
            await cluster.connect(user="somebody")
        with pytest.raises(ConfigError, match="host"):
            await cluster.connect(host="elsewhere")
        assert all(node.logins == 0 for node in cluster.stats().nodes.values())


async def test_init_is_awaited_once_per_connection_before_it_is_handed_out(engine: Engine) -> None:
    prepared: list[Any] = []

    async def init(conn: Any) -> None:
        assert await engine.value(conn, "select 1") == 1
        prepared.append(conn)

    async with engine.unwatched(init=init) as cluster:
        await connect_one_by_one(cluster, 20)
        assert len(prepared) == len(set(map(id, prepared))) >= 20
        async with cluster.connect() as conn:
            assert prepared[-1] is conn
    await engine.wait_left()


async def test_a_failing_init_is_reported_as_what_it_is_and_trips_nothing(engine: Engine) -> None:
    async def init(conn: Any) -> None:
        raise LookupError("no such codec")

    async with engine.unwatched(init=init) as cluster:
        with pytest.raises(AllNodesFailed, match="LookupError: no such codec") as caught:
            await cluster.connect()
        assert {type(error) for error in caught.value.errors.values()} == {LookupError}
        assert {str(node.health) for node in cluster.stats().nodes.values()} == {"up"}
    await engine.wait_left()


async def test_passwords_come_from_functions(galera: GaleraCluster) -> None:
    asked = 0

    async def password() -> str:
        nonlocal asked
        asked += 1
        return "pw" if asked > 1 else "not yet known"

    node = galera.nodes[0]
    async with Cluster(
        {"node1": f"mysql://app@127.0.0.1:{node.port}/test"}, connect_options={"password": password}, monitor_interval=None
    ) as cluster:
        with pytest.raises(AllNodesFailed, match="1045"):
            await cluster.connect()
        nodes, _ = await connect_one_by_one(cluster, 2)
        assert nodes == {"node1": 2}
        assert asked == 3


async def test_unix_sockets_of_mariadb(galera: GaleraCluster) -> None:
    engine = Galera(galera)

    def path(node: GaleraNode) -> str:
        return str(node.data / "socket")

    urls = {node.name: f"mysql://root@localhost/test?unix_socket={path(node)}" for node in galera.nodes[:2]}
    urls["node3"] = f"mysql://root@{path(galera.nodes[2]).replace('/', '%2F')}/test"
    async with Cluster(urls) as cluster:
        assert {node.address for node in cluster.stats().nodes.values()} == {path(node) for node in galera.nodes}
        for name, node in zip(cluster.nodes, galera.nodes, strict=True):
            async with Cluster({name: urls[name]}) as alone, alone.connect() as conn:
                assert (
                    await engine.value(conn, "SELECT CONCAT(@@port, ' ', SUBSTRING_INDEX(USER(), '@', -1))")
                    == f"{node.port} localhost"
                )
        nodes, _ = await connect_one_by_one(cluster, 60)
        assert set(nodes) == {"node1", "node2", "node3"}


async def test_unix_sockets_of_postgresql() -> None:
    with PostgresCluster(standbys=1, unix_sockets=True) as servers:
        folder = str(servers.socket_folder)
        primary, standby = servers.nodes
        urls = {
            "pg1": f"postgresql://postgres@/postgres?host={folder}&port={primary.port}",
            "pg2": f"postgresql://postgres@{folder.replace('/', '%2F')}:{standby.port}/postgres",
        }
        async with Cluster(urls) as cluster:
            for target, name in {"read-write": "pg1", "standby": "pg2"}.items():
                async with cluster.connect(target=target) as conn:
                    assert cluster.node_of(conn) == name
                    assert await conn.fetchval("select inet_server_port()") is None
            await standby_gone(cluster, servers)


async def standby_gone(cluster: Cluster[Any], servers: PostgresCluster) -> None:
    """A socket's file that is gone is a node that is down."""
    servers.nodes[1].stop()
    with pytest.raises(AllNodesFailed, match=r"pg2 \(.*/\.s\.PGSQL\.\d+\): FileNotFoundError"):
        await cluster.connect(target="standby")


async def test_nodes_by_urls_of_several_hosts_and_by_name(engine: Engine) -> None:
    scheme = engine.dsn(1).partition("@")[0]
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in engine.nodes)
    database = "test" if isinstance(engine, Galera) else "postgres"
    async with aioclustersql.connect(f"{scheme}@{hosts}/{database}", target=engine.any_node) as conn:
        assert await engine.value(conn, "select 1") == 1
    await engine.wait_left()


async def test_nodes_come_and_go_while_connects_run(engine: Engine) -> None:
    first, second, third = engine.nodes
    async with engine.unwatched({first.name: first.port}) as cluster:
        cluster.add_node(second.name, engine.dsn(second.port))
        nodes, _ = await connect_one_by_one(cluster, 60)
        assert set(nodes) == {first.name, second.name}
        conn = await cluster.connect()
        cluster.remove_node(first.name)
        cluster.remove_node(second.name)
        cluster.add_node(third.name, engine.dsn(third.port))
        nodes, _ = await connect_one_by_one(cluster, 20)
        assert set(nodes) == {third.name}
        with pytest.raises(UnknownNode):
            cluster.node_of(conn)
        assert await engine.value(conn, "select 1") == 1  # it stays its user's
        await engine.close(conn)


async def test_connections_are_the_drivers_own(postgres: PostgresCluster) -> None:
    async with Postgres(postgres).cluster() as cluster, cluster.connect() as conn:
        assert type(conn) is asyncpg.Connection
