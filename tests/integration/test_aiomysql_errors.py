"""What failures of logins and statements of aiomysql mean, on real servers."""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

import asyncio
import contextlib

import aiomysql
import pytest

from aioclustersql.failure import FailureKind
from tests.integration.aiomysql_support import DRIVER, failure, opened, settled
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.galera import GaleraCluster

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]


@pytest.mark.parametrize(
    ("part", "code", "kind"),
    [
        ("app:wrong@127.0.0.1:{}/test", 1045, FailureKind.CONFIGURATION),
        ("plain:pw@127.0.0.1:{}/mysql", 1044, FailureKind.CONFIGURATION),
        ("root@127.0.0.1:{}/no_such_database", 1049, FailureKind.CONFIGURATION),
        ("app:pw@no-such-host.invalid:{}/test", 2003, FailureKind.CONFIGURATION),
        ("app:pw@127.0.0.1:1/test", 2003, FailureKind.UNREACHABLE),
        ("app:pw@localhost:1/test", 2003, FailureKind.UNREACHABLE),
        ("app:pw@[::1]:1/test", 2003, FailureKind.UNREACHABLE),
        ("app:pw@%2Fno%2Fsuch%2Fsocket/test", 2003, FailureKind.UNREACHABLE),
    ],
)
async def test_logins_that_fail(galera: GaleraCluster, part: str, code: int, kind: FailureKind):
    exc, seen = await failure("mysql://" + part.format(galera.nodes[0].port))
    assert (exc.args[0], seen) == (code, kind)


async def test_login_through_a_broken_network(galera: GaleraCluster, proxy: MakeProxy):
    link = await proxy(galera.nodes[0], mode="reset")
    dsn = f"mysql://app:pw@127.0.0.1:{link.port}/test"
    assert (await failure(dsn))[1] is FailureKind.SESSION_LOST
    await link.set_mode("backlog")
    assert (await failure(dsn, connect_timeout=0.2))[1] is FailureKind.TIMEOUT


async def test_a_full_server_is_overloaded(galera: GaleraCluster):
    node = galera.nodes[0]
    node.sql("SET GLOBAL max_connections=10")
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(aiomysql.OperationalError) as caught:
            for _ in range(15):
                await stack.enter_async_context(opened(node.dsn("plain")))
    assert DRIVER.classify(caught.value) is FailureKind.OVERLOADED


async def test_a_blocked_host_is_told_what_to_do(galera: GaleraCluster, proxy: MakeProxy):
    node = galera.nodes[0]
    node.sql("SET GLOBAL max_connect_errors=2")
    link = await proxy(node)
    dsn = f"mysql://app:pw@127.0.0.1:{link.port}/test"
    for _ in range(4):
        _, writer = await asyncio.open_connection(node.host, node.port, local_addr=(link.source, 0))
        await asyncio.sleep(0.05)
        writer.close()
        await writer.wait_closed()
    try:
        exc, kind = await failure(dsn)
        assert kind is FailureKind.HOST_BLOCKED
        assert "FLUSH HOSTS" in "\n".join(exc.__notes__)
    finally:
        node.sql("FLUSH HOSTS")
        await settled(link)


async def test_errors_of_statements(galera: GaleraCluster):
    node = galera.nodes[0]
    node.sql("CREATE OR REPLACE TABLE test.meaning (id INT PRIMARY KEY)")
    node.sql("INSERT INTO test.meaning VALUES (1)")

    async def meaning(conn: aiomysql.Connection, sql: str) -> FailureKind:
        with pytest.raises(aiomysql.Error) as caught:
            await conn.query(sql)
        return DRIVER.classify(caught.value)

    async with opened(node.dsn("plain")) as first, opened(node.dsn("plain")) as second:
        assert await meaning(first, "SELECT * FROM no_such_table") is FailureKind.OTHER
        assert await meaning(first, "INSERT INTO meaning VALUES (1)") is FailureKind.OTHER
        await first.query("SELECT * FROM meaning WHERE id=1 FOR UPDATE")
        await second.query("SET innodb_lock_wait_timeout=1")
        assert await meaning(second, "UPDATE meaning SET id=1 WHERE id=1") is FailureKind.LOCK_TIMEOUT
        assert (
            await meaning(second, "SET STATEMENT max_statement_time=0.05 FOR SELECT SLEEP(1) FROM meaning")
            is FailureKind.INTERRUPTED
        )
        await first.rollback()
        await second.rollback()
        await first.query("SET TRANSACTION READ ONLY")
        await first.begin()
        assert await meaning(first, "INSERT INTO meaning VALUES (2)") is FailureKind.ROLE_CHANGED
        await first.rollback()
        node.sql("SET GLOBAL read_only=1")
        assert await meaning(first, "INSERT INTO meaning VALUES (2)") is FailureKind.ROLE_CHANGED


async def test_a_certification_conflict_rolled_the_loser_back(galera: GaleraCluster):
    first, second = galera.nodes[:2]
    first.sql("CREATE OR REPLACE TABLE test.conflict (id INT PRIMARY KEY, v INT)")
    first.sql("INSERT INTO test.conflict VALUES (1, 0)")
    second.causal_read()
    async with opened(first.dsn("app")) as one_side, opened(second.dsn("app")) as other_side:
        await one_side.query("UPDATE conflict SET v=1 WHERE id=1")
        await other_side.query("UPDATE conflict SET v=2 WHERE id=1")
        await one_side.commit()
        with pytest.raises(aiomysql.Error) as caught:
            await other_side.commit()
        assert DRIVER.classify(caught.value) is FailureKind.ROLLED_BACK
