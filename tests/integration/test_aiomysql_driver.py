"""The aiomysql driver, and in part asyncmy, on real servers: login, validation, farewell."""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

import asyncio
import contextlib
import gc
import warnings
from pathlib import Path
from typing import Any

import aiomysql
import asyncmy.errors
import pytest
from pymysql.constants import CLIENT

from aioclustersql.drivers.base import Endpoint
from aioclustersql.drivers.mysql import driver as module
from aioclustersql.errors import NodeNotFit
from aioclustersql.failure import FailureKind
from aioclustersql.node import Role, Target
from tests.integration.aiomysql_support import BOTH, DRIVER, one, opened, settled
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.galera import GaleraCluster
from tests.servers.plain import PlainServer

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]


@BOTH
@pytest.mark.every_loop
@pytest.mark.parametrize("target", [target for target in Target if target is not Target.STANDBY])
async def test_the_server_counts_nothing_aborted(driver: Any, galera: GaleraCluster, target: Target):
    node = galera.nodes[0]
    before = node.status("Aborted_clients", "Aborted_connects")
    for _ in range(5):
        async with opened(node.dsn("app"), driver=driver) as conn:
            await driver.validate(conn, target)
            assert not driver.is_closed(conn)
        assert driver.is_closed(conn)
        await driver.close(conn)
    assert node.status("Aborted_clients", "Aborted_connects") == before


@pytest.mark.parametrize("target", [target for target in Target if target is not Target.STANDBY])
async def test_validation_leaves_the_session_as_it_was(galera: GaleraCluster, target: Target):
    node = galera.nodes[0]
    async with opened(node.dsn("app")) as conn:
        await DRIVER.validate(conn, target)
        assert await conn.show_warnings() == ()
        assert not conn.get_transaction_status()
        assert not conn.get_autocommit()
        assert await one(conn, "SELECT @@in_transaction") == 0
        assert node.sql(f"SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id={conn.thread_id()}") == (
            (0,),
        )


async def test_a_galera_node_is_a_peer_and_no_standby(galera: GaleraCluster):
    async with opened(galera.nodes[0].dsn("plain")) as conn:
        assert await DRIVER.validate(conn, Target.ANY) is Role.UNKNOWN
        assert await DRIVER.validate(conn, Target.READ_WRITE) is Role.PRIMARY
        assert await DRIVER.validate(conn, Target.PREFER_STANDBY) is Role.PEER
        assert await DRIVER.validate(conn, Target.READ_ONLY) is Role.PEER
        with pytest.raises(NodeNotFit, match="prefer-standby"):
            await DRIVER.validate(conn, Target.STANDBY)


@pytest.mark.parametrize("user", ["root", "plain"])
async def test_read_only_is_seen_on_galera_whoever_asks(galera: GaleraCluster, user: str):
    galera.nodes[0].sql("SET GLOBAL read_only=1")
    async with opened(galera.nodes[0].dsn(user)) as conn:
        assert await DRIVER.validate(conn, Target.ANY) is Role.UNKNOWN
        assert await DRIVER.validate(conn, Target.READ_WRITE) is Role.READ_ONLY
        assert await DRIVER.validate(conn, Target.PRIMARY) is Role.READ_ONLY
        assert await DRIVER.validate(conn, Target.PREFER_STANDBY) is Role.READ_ONLY
        assert await DRIVER.validate(conn, Target.READ_ONLY) is Role.READ_ONLY


async def test_a_plain_server_is_primary_or_standby(plain: PlainServer):
    async with opened(plain.dsn("plain"), use_unicode=False) as conn:
        roles = [await DRIVER.validate(conn, target) for target in Target]
        assert roles == [Role.UNKNOWN, *[Role.PRIMARY] * 5]
        plain.sql("SET GLOBAL read_only=1")
        roles = [await DRIVER.validate(conn, target) for target in Target]
        assert roles == [Role.UNKNOWN, *[Role.STANDBY] * 5]


@pytest.mark.parametrize("use_unicode", [True, False])
async def test_a_server_that_knows_no_wsrep_tells_its_role(plain: PlainServer, use_unicode: bool):
    async with opened(plain.dsn("plain"), use_unicode=use_unicode) as conn:
        conn.server_version = "8.4.3"
        assert await DRIVER.validate(conn, Target.STANDBY) is Role.PRIMARY
        plain.sql("SET GLOBAL read_only=1")
        assert await DRIVER.validate(conn, Target.STANDBY) is Role.STANDBY
        assert await conn.show_warnings() == ()
        assert not conn.get_transaction_status()


async def test_a_galera_node_is_one_whoever_built_it(galera: GaleraCluster):
    async with opened(galera.nodes[0].dsn("plain")) as conn:
        conn.server_version = "8.0.39-30.1"
        assert await DRIVER.validate(conn, Target.READ_ONLY) is Role.PEER


async def test_a_mariadb_built_without_wsrep_tells_its_role(plain: PlainServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_ROLE", "SELECT @@global.read_only, @@global.no_such_variable")
    async with opened(plain.dsn("plain")) as conn:
        assert await DRIVER.validate(conn, Target.STANDBY) is Role.PRIMARY


async def test_a_server_that_raises_where_mariadb_warns_tells_its_role(plain: PlainServer, monkeypatch: pytest.MonkeyPatch):
    # the way MySQL's DO answers a read_only server
    monkeypatch.setattr(module, "_EVALUATE", "SIGNAL SQLSTATE '22003' SET MYSQL_ERRNO = 1690")
    plain.sql("SET GLOBAL read_only=1")
    async with opened(plain.dsn("plain")) as conn:
        assert await DRIVER.validate(conn, Target.READ_WRITE) is Role.STANDBY


async def test_validation_sets_the_autocommit_mode(plain: PlainServer):
    for wanted in (False, True):
        async with opened(plain.dsn("plain"), ready=False, autocommit=wanted) as conn:
            assert await DRIVER.validate(conn, Target.READ_WRITE) is Role.PRIMARY
            assert conn.get_autocommit() is wanted
            assert await one(conn, "SELECT @@autocommit") == wanted


@BOTH
@pytest.mark.parametrize(("target", "role"), [(Target.ANY, Role.UNKNOWN), (Target.READ_WRITE, Role.PRIMARY)])
async def test_one_statement_validates_and_sets_the_autocommit_mode(driver: Any, plain: PlainServer, target: Target, role: Role):
    async with opened(plain.dsn("plain"), ready=False, driver=driver) as conn:
        assert conn.get_autocommit()
        assert await driver.validate(conn, target) is role
        asked = "SELECT variable_value FROM information_schema.session_status WHERE variable_name='QUESTIONS'"
        assert int(await one(conn, asked)) == 2  # one of them is this one
        assert not conn.get_autocommit()
        assert await one(conn, "SELECT @@autocommit") == 0


@BOTH
@pytest.mark.parametrize("target", [Target.ANY, Target.READ_WRITE])
async def test_a_read_only_server_gets_its_autocommit_mode_too(driver: Any, plain: PlainServer, target: Target):
    plain.sql("SET GLOBAL read_only=1")
    async with opened(plain.dsn("plain"), ready=False, driver=driver) as conn:
        assert await driver.validate(conn, target) is (Role.UNKNOWN if target is Target.ANY else Role.STANDBY)
        assert not conn.get_autocommit()
        assert await one(conn, "SELECT @@autocommit") == 0


@BOTH
async def test_a_server_that_allows_no_prepared_statement_is_validated(driver: Any, plain: PlainServer):
    plain.sql("SET GLOBAL max_prepared_stmt_count=0")
    try:
        async with opened(plain.dsn("plain"), ready=False, driver=driver) as conn:
            assert await driver.validate(conn, Target.READ_WRITE) is Role.PRIMARY
            assert not conn.get_autocommit()
            assert await one(conn, "SELECT @@autocommit") == 0
    finally:
        plain.sql("SET GLOBAL max_prepared_stmt_count=DEFAULT")


async def test_a_server_that_takes_one_statement_at_a_time_is_validated_in_two(
    plain: PlainServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(CLIENT, "MULTI_STATEMENTS", 0)
    async with opened(plain.dsn("plain"), ready=False) as conn:
        conn.server_version = "8.4.3"  # MySQL's EXECUTE takes no text
        assert await DRIVER.validate(conn, Target.READ_WRITE) is Role.PRIMARY
        assert not conn.get_autocommit()
        assert await one(conn, "SELECT @@autocommit") == 0


@BOTH
@pytest.mark.parametrize("ill", ["isolated", "rejecting"])
async def test_a_galera_node_that_serves_nothing_fails_validation(driver: Any, galera: GaleraCluster, ill: str):
    node = galera.nodes[2]
    if ill == "rejecting":
        node.sql("SET GLOBAL wsrep_reject_queries=ALL")
    else:
        await asyncio.to_thread(node.isolate)
    async with opened(node.dsn("app"), ready=False, driver=driver) as conn:
        for read_only in (0, 1):
            node.sql(f"SET GLOBAL read_only={read_only}")
            for target in Target:
                with pytest.raises((aiomysql.Error, asyncmy.errors.Error)) as caught:
                    await driver.validate(conn, target)
                assert driver.classify(caught.value) is FailureKind.NOT_READY


@BOTH
@pytest.mark.parametrize("password", ["pä", "pä€", "密码"])
async def test_passwords_are_sent_in_utf8(driver: Any, plain: PlainServer, password: str):
    plain.sql(f"CREATE OR REPLACE USER unicode@'%' IDENTIFIED BY '{password}'")
    async with opened(f"mysql://unicode@127.0.0.1:{plain.port}", password=password, driver=driver) as conn:
        assert await one(conn, "SELECT 1") == 1


@pytest.mark.every_loop
@pytest.mark.parametrize("sslmode", ["disable", "require"])
async def test_a_large_result_comes_whole(plain: PlainServer, sslmode: str):
    async with opened(plain.dsn("app"), sslmode=sslmode) as conn, conn.cursor() as cursor:
        letter = "MID('ABCDEFGHIJKLMNOPQRSTUVWXYZ', 1 + seq % 26, 1)"
        for _ in range(2):
            await cursor.execute(f"SELECT seq, REPEAT({letter}, seq) FROM test.seq_1_to_3000 ORDER BY seq")
            assert list(await cursor.fetchall()) == [(n, chr(65 + n % 26) * n) for n in range(1, 3001)]


@BOTH
@pytest.mark.parametrize("form", ["mysql://root@localhost/test?unix_socket={}", "mysql://root@{}/test"])
async def test_unix_sockets(driver: Any, plain: PlainServer, form: str):
    path = str(plain.socket_path)
    dsn = form.format(path if "?" in form else path.replace("/", "%2F"))
    async with opened(dsn, sslmode="verify-full", driver=driver) as conn:
        assert "UNIX" in conn.host_info


@BOTH
async def test_a_default_file_fills_in_and_moves_no_node(driver: Any, plain: PlainServer, tmp_path: Path):
    (tmp_path / "my.cnf").write_text("[client]\nuser=app\npassword=pw\nhost=127.0.0.9\nport=1\nsocket=/nowhere\n")
    async with opened(f"mysql://127.0.0.1:{plain.port}", read_default_file=str(tmp_path / "my.cnf"), driver=driver) as conn:
        assert str(await one(conn, "SELECT CURRENT_USER()")).startswith("app@")


# Ends


async def cancel_a_login_after_every_step(endpoint: Endpoint, driver: Any = DRIVER) -> None:
    """Cancel later and later, until a login is quicker than its cancel, and see that nobody warns."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        finished = 0
        for steps in range(2000):
            task = asyncio.create_task(driver.connect(endpoint, "pw"))
            for step in range(steps):
                await asyncio.sleep(0.0001 * (step % 3))
            task.cancel()
            try:
                conn = await task
            except asyncio.CancelledError:
                continue
            await driver.close(conn)
            finished += 1
            if finished == 5:
                break
        gc.collect()
    assert not [str(each.message) for each in seen]
    assert finished == 5


@BOTH
async def test_a_cancelled_login_with_tls_leaves_nothing_at_any_step(driver: Any, plain: PlainServer):
    # Not on uvloop, which itself reports an error when a handshake is cancelled while bytes arrive.
    await cancel_a_login_after_every_step(driver.parse(plain.dsn("app"), {"sslmode": "require"}), driver)


@pytest.mark.parametrize("tls", [False, True])
async def test_terminate_in_the_middle_of_a_result_tells_the_reader(plain: PlainServer, tls: bool):
    options: dict[str, Any] = {"sslmode": "require"} if tls else {}
    async with opened(plain.dsn("app"), **options) as conn:
        reading = asyncio.create_task(conn.query("SELECT seq, REPEAT('x', 1000) FROM test.seq_1_to_1000000"))
        await asyncio.sleep(0.2)
        assert not reading.done()
        DRIVER.terminate(conn)
        with pytest.raises(aiomysql.OperationalError) as caught:
            await reading
        assert DRIVER.classify(caught.value) is FailureKind.SESSION_LOST


@pytest.mark.every_loop
async def test_a_killed_session_is_seen_as_closed_and_lost(galera: GaleraCluster):
    node = galera.nodes[0]
    async with opened(node.dsn("app")) as conn:
        node.sql(f"KILL CONNECTION {conn.thread_id()}")
        async with asyncio.timeout(2):
            while not DRIVER.is_closed(conn):
                await asyncio.sleep(0.01)
        with pytest.raises((aiomysql.Error, OSError, RuntimeError)) as caught:
            await conn.query("SELECT 1")
        assert DRIVER.classify(caught.value) in (FailureKind.SESSION_LOST, FailureKind.FOUND_CLOSED)


async def test_close_ends_on_a_frozen_server_too(galera: GaleraCluster):
    node = galera.nodes[0]
    conn = await DRIVER.connect(DRIVER.parse(node.dsn("app"), {}), "pw")
    node.freeze()
    async with asyncio.timeout(1):
        await DRIVER.close(conn)
    assert DRIVER.is_closed(conn)


@BOTH
@pytest.mark.every_loop
@pytest.mark.parametrize("tls", [False, True])
async def test_a_close_that_is_given_up_leaves_no_socket(driver: Any, plain: PlainServer, proxy: MakeProxy, tls: bool):
    link = await proxy(plain)
    endpoint = driver.parse(f"mysql://app@127.0.0.1:{link.port}", {"sslmode": "require"} if tls else {})
    conn = await driver.connect(endpoint, "pw")
    await link.set_mode("hang")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):  # over TLS the server's farewell is waited for
            await driver.close(conn)
    assert driver.is_closed(conn)
    async with asyncio.timeout(1):
        while link.open_connections:
            await asyncio.sleep(0.01)


@BOTH
@pytest.mark.every_loop
@pytest.mark.parametrize("tls", [False, True])
async def test_a_cancelled_validation_leaves_no_socket(driver: Any, plain: PlainServer, proxy: MakeProxy, tls: bool):
    link = await proxy(plain)
    endpoint = driver.parse(f"mysql://app@127.0.0.1:{link.port}", {"sslmode": "require"} if tls else {})
    conn = await driver.connect(endpoint, "pw")
    await link.set_mode("hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await driver.validate(conn, Target.READ_WRITE)
    assert driver.is_closed(conn)
    async with asyncio.timeout(1):
        while link.open_connections:
            await asyncio.sleep(0.01)


@pytest.mark.every_loop
async def test_closing_what_the_server_has_cut_off_is_fine(galera: GaleraCluster, proxy: MakeProxy):
    link = await proxy(galera.nodes[0])
    conn = await DRIVER.connect(DRIVER.parse(f"mysql://app@127.0.0.1:{link.port}", {}), "pw")
    link.drop()
    await DRIVER.close(conn)
    assert DRIVER.is_closed(conn)
    await settled(link)
