"""TLS of the aiomysql driver, and of asyncmy, with a real server that has a certificate, and with one that has none."""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

import asyncio
from pathlib import Path
from typing import Any

import aiomysql
import pytest

from aioclustersql.failure import FailureKind
from aioclustersql.node import Role, Target
from tests.integration.aiomysql_support import BOTH, DRIVER, as_usual, failure, one, opened
from tests.servers.certificates import make_certificates
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.galera import GaleraCluster
from tests.servers.plain import PlainServer

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]


async def cipher(conn: Any) -> str:
    async with conn.cursor() as cursor:
        await cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        return str((await cursor.fetchone())[1])


@BOTH
@pytest.mark.every_loop
@pytest.mark.parametrize("mode", ["prefer", "allow", "require", "verify-ca", "verify-full"])
async def test_tls_where_the_server_offers_it(driver: Any, plain: PlainServer, mode: str):
    async with opened(plain.dsn("app") + f"?sslmode={mode}&sslrootcert={plain.files.ca}", driver=driver) as conn:
        assert await cipher(conn)
        assert await driver.validate(conn, Target.READ_WRITE) is Role.PRIMARY
    assert driver.is_closed(conn)


@pytest.mark.every_loop
async def test_over_tls_a_connection_is_reset_without_a_task_too(plain: PlainServer):
    async with opened(plain.dsn("app"), sslmode="require") as conn:
        await DRIVER.reset(conn, None)
        for _ in range(3):
            await one(conn, "SELECT @mine := 1")
            assert await as_usual(conn) is True
            assert await one(conn, "SELECT @mine") is None
        assert await as_usual(conn, lambda: DRIVER.terminate(conn)) is False
        assert DRIVER.is_closed(conn)


@pytest.mark.parametrize("options", ["", "?sslmode=disable", "?ssl_mode=DISABLED"])
async def test_without_a_word_about_tls_there_is_none(plain: PlainServer, options: str):
    async with opened(plain.dsn("app") + options) as conn:
        assert not await cipher(conn)


@BOTH
async def test_tls_counts_nothing_aborted(driver: Any, plain: PlainServer):
    before = plain.status("Aborted_clients", "Aborted_connects")
    for _ in range(5):
        async with opened(plain.dsn("app"), sslmode="require", driver=driver) as conn:
            await driver.validate(conn, Target.READ_WRITE)
    await asyncio.sleep(0.1)
    assert plain.status("Aborted_clients", "Aborted_connects") == before


@BOTH
async def test_verify_full_checks_the_host_and_verify_ca_does_not(driver: Any, plain: PlainServer):
    dsn = plain.dsn("app").replace("127.0.0.1", "127.0.0.2")
    async with opened(dsn, sslmode="verify-ca", sslrootcert=str(plain.files.ca), driver=driver) as conn:
        assert await cipher(conn)
    _, kind = await failure(dsn, sslmode="verify-full", sslrootcert=str(plain.files.ca), driver=driver)
    assert kind is FailureKind.CONFIGURATION


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
async def test_a_certificate_of_a_stranger_is_refused(plain: PlainServer, tmp_path: Path, mode: str):
    stranger = make_certificates(tmp_path)
    _, kind = await failure(plain.dsn("app"), sslmode=mode, sslrootcert=str(stranger.ca))
    assert kind is FailureKind.CONFIGURATION


@BOTH
async def test_prefer_falls_back_where_the_server_has_no_tls(driver: Any, galera: GaleraCluster):
    node = galera.nodes[0]
    before = node.status("Aborted_clients", "Aborted_connects")
    for mode in ("prefer", "allow"):
        async with opened(node.dsn("app"), sslmode=mode, driver=driver) as conn:
            assert not await cipher(conn)
    assert node.status("Aborted_clients", "Aborted_connects") == before


@BOTH
@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_nothing_is_sent_to_a_server_that_cannot_keep_it_secret(
    driver: Any, galera: GaleraCluster, proxy: MakeProxy, mode: str
):
    link = await proxy(galera.nodes[0])
    exc, kind = await failure(f"mysql://app:pw@127.0.0.1:{link.port}/test", sslmode=mode, driver=driver)
    assert exc.args[0] == 2026
    assert kind is FailureKind.CONFIGURATION
    assert link.bytes_sent == 0


async def test_a_reconnecting_ping_asks_for_tls_again(galera: GaleraCluster, plain: PlainServer, proxy: MakeProxy):
    link = await proxy(plain)
    async with opened(f"mysql://app:pw@127.0.0.1:{link.port}/test", sslmode="require") as conn:
        conn.close()
        link.upstream = (galera.nodes[0].host, galera.nodes[0].port)
        with pytest.raises(aiomysql.OperationalError, match="TLS is required"):
            await conn.ping()
