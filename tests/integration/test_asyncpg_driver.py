"""The asyncpg driver meets real PostgreSQL servers: addresses, passwords and TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from aioclustersql.demo.postgres import PostgresCluster, PostgresNode, ServerTls
from aioclustersql.drivers.psycopg import PsycopgDriver
from aioclustersql.errors import ConfigError
from aioclustersql.failure import FailureKind
from tests.integration.logins import connected, driver
from tests.servers.certificates import Certificates, make_certificates

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]

PASSWORD = "p@ss/w:rd %"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure_cluster(certificates: Certificates) -> Iterator[PostgresCluster]:
    with PostgresCluster(
        standbys=0,
        auth="scram-sha-256",
        password=PASSWORD,
        tls=ServerTls(certificates.cert, certificates.key, certificates.ca),
        hba=[
            "hostnossl all tls_only all reject",
            "hostssl all plain_only all reject",
            "host all all 127.0.0.0/8 scram-sha-256",
        ],
        settings={"listen_addresses": "127.0.0.1,127.0.0.2,::1"},
        unix_sockets=True,
    ) as cluster:
        for role in ("tls_only", "plain_only"):
            cluster.primary.sql(f"create role {role} login password 'pw'")
        yield cluster


@pytest.fixture
def secure(secure_cluster: PostgresCluster) -> PostgresNode:
    """A server with TLS, whose certificate is for localhost and 127.0.0.1, and passwords by SCRAM."""
    return secure_cluster.primary


async def failure(dsn: str, **options: Any) -> tuple[BaseException, FailureKind]:
    with pytest.raises(Exception) as caught:
        async with connected(dsn, **options):
            pass
    return caught.value, driver.classify(caught.value)


async def encrypted(conn: asyncpg.Connection[Any]) -> bool:
    return bool(await conn.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))


async def test_a_scram_password_with_special_characters_logs_in(secure: PostgresNode) -> None:
    async with connected(secure.dsn()) as conn:
        assert await conn.fetchval("select 1") == 1


async def test_wrong_names_and_passwords_are_configuration(secure: PostgresNode) -> None:
    for dsn, error in {
        secure.dsn(password="wrong"): asyncpg.InvalidPasswordError,
        secure.dsn(user="nobody_there", password="x"): asyncpg.InvalidPasswordError,
        secure.dsn(database="missing"): asyncpg.InvalidCatalogNameError,
        secure.dsn(database="template0"): asyncpg.ObjectNotInPrerequisiteStateError,
        secure.dsn() + "?server_settings.no_such_setting=1": asyncpg.UndefinedObjectError,
        secure.dsn() + "?work_mem=lots": asyncpg.InvalidParameterValueError,
    }.items():
        exc, kind = await failure(dsn)
        assert isinstance(exc, error)
        assert kind is FailureKind.CONFIGURATION
        assert PASSWORD not in str(exc)


async def test_nothing_but_the_password_comes_from_the_environment(secure: PostgresNode, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {
        "HOST": "203.0.113.1",
        "PORT": "1",
        "USER": "wrong",
        "DATABASE": "wrong",
        "TARGETSESSIONATTRS": "standby",
        "SSLMODE": "disable",
        "SSLCERT": "/missing",
        "SSLKEY": "/missing",
        "SSLROOTCERT": "/missing",
        "SSLMINPROTOCOLVERSION": "none",
        "SSLNEGOTIATION": "direct",
        "KRBSRVNAME": "wrong",
        "GSSLIB": "wrong",
        "SERVICE": "wrong",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(f"PG{name}", value)
    for query in ("", "?sslmode=allow", "?sslmode=prefer", "?sslmode=require"):
        async with connected(secure.dsn() + query) as conn:
            assert await encrypted(conn) is ("allow" not in query)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    async with connected(f"postgresql://postgres@127.0.0.1:{secure.port}/postgres") as conn:
        assert await conn.fetchval("select current_user || ' ' || current_database()") == "postgres postgres"


async def test_a_unix_socket_and_ipv6_are_addresses_too(secure_cluster: PostgresCluster, secure: PostgresNode) -> None:
    folder = str(secure_cluster.socket_folder)
    options = {"user": "postgres", "password": PASSWORD}
    for dsn in (
        f"postgresql:///postgres?host={folder}&port={secure.port}",
        f"postgresql://{folder.replace('/', '%2F')}:{secure.port}/postgres?sslmode=verify-full",
    ):
        async with connected(dsn, **options) as conn:
            assert await conn.fetchval("select inet_server_addr()") is None
    async with connected(f"postgresql://[::1]:{secure.port}/postgres", **options) as conn:
        assert str(await conn.fetchval("select host(inet_server_addr())")) == "::1"


@pytest.mark.parametrize(
    ("query", "host", "tls"),
    [
        ("", "127.0.0.1", True),
        ("sslmode=disable", "127.0.0.1", False),
        ("sslmode=allow", "127.0.0.1", False),
        ("sslmode=prefer", "127.0.0.1", True),
        ("sslmode=require", "127.0.0.2", True),
        ("sslmode=verify-ca&sslrootcert={ca}", "127.0.0.2", True),
        ("sslmode=require&sslrootcert={ca}", "127.0.0.2", True),
        ("sslmode=verify-full&sslrootcert={ca}", "127.0.0.1", True),
        ("sslmode=verify-full&sslrootcert={ca}", "localhost", True),
        ("ssl_mode=VERIFY_IDENTITY&ssl_ca={ca}", "127.0.0.1", True),
    ],
)
async def test_tls_modes_that_fit(secure: PostgresNode, certificates: Certificates, query: str, host: str, tls: bool) -> None:
    dsn = secure.dsn().replace("127.0.0.1", host) + "?" + query.format(ca=certificates.ca)
    async with connected(dsn) as conn:
        assert await encrypted(conn) is tls


async def test_tls_that_does_not_verify_is_refused(secure: PostgresNode, certificates: Certificates, tmp_path: Path) -> None:
    other = make_certificates(tmp_path)
    elsewhere = secure.dsn().replace("127.0.0.1", "127.0.0.2")
    for dsn in (
        f"{elsewhere}?sslmode=verify-full&sslrootcert={certificates.ca}",
        f"{secure.dsn()}?sslmode=verify-ca&sslrootcert={other.ca}",
        f"{secure.dsn()}?sslmode=require&sslrootcert={other.ca}",
        f"{secure.dsn()}?sslmode=verify-full",
    ):
        exc, kind = await failure(dsn)
        assert "CERTIFICATE_VERIFY_FAILED" in str(exc)
        assert kind is FailureKind.CONFIGURATION


async def test_a_missing_certificate_is_named_at_login(secure: PostgresNode, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sslrootcert: cannot read"):
        async with connected(f"{secure.dsn()}?sslmode=verify-ca&sslrootcert={tmp_path}/none.pem"):
            pass


async def test_a_server_without_tls_refuses_require(postgres: PostgresCluster) -> None:
    node = postgres.primary
    exc, kind = await failure(f"{node.dsn()}?sslmode=require")
    assert "rejected SSL upgrade" in str(exc)
    assert kind is FailureKind.CONFIGURATION
    async with connected(node.dsn()) as conn:
        assert not await encrypted(conn)


async def test_a_client_certificate_is_shown_in_every_mode_with_tls(secure: PostgresNode, certificates: Certificates) -> None:
    shown = f"sslcert={certificates.cert}&sslkey={certificates.key}"
    for mode in ("prefer", "require", f"verify-full&sslrootcert={certificates.ca}"):
        async with connected(f"{secure.dsn()}?sslmode={mode}&{shown}") as conn:
            assert await conn.fetchval("select client_serial is not null from pg_stat_ssl where pid = pg_backend_pid()")


async def test_allow_and_prefer_take_the_other_way_when_refused(secure: PostgresNode, certificates: Certificates) -> None:
    shown = f"sslcert={certificates.cert}&sslkey={certificates.key}"
    for files in ("", f"&{shown}"):
        for mode in ("allow", "prefer"):
            for user, tls in {"tls_only": True, "plain_only": False}.items():
                async with connected(f"{secure.dsn(user, password='pw')}?sslmode={mode}{files}") as conn:
                    assert await encrypted(conn) is tls
            exc, kind = await failure(f"{secure.dsn(password='wrong')}?sslmode={mode}{files}")
            assert isinstance(exc, asyncpg.InvalidPasswordError)
            assert kind is FailureKind.CONFIGURATION


async def test_a_given_certificate_does_not_make_prefer_demand_tls(postgres: PostgresCluster, certificates: Certificates) -> None:
    dsn = f"{postgres.primary.dsn()}?sslmode=prefer&sslcert={certificates.cert}&sslkey={certificates.key}"
    async with connected(dsn) as conn:
        assert not await encrypted(conn)


async def test_psycopg_says_tls_in_the_same_words(secure: PostgresNode, certificates: Certificates, tmp_path: Path) -> None:
    other = PsycopgDriver()
    shown = f"sslcert={certificates.cert}&sslkey={certificates.key}"
    elsewhere = secure.dsn().replace("127.0.0.1", "127.0.0.2")
    for dsn, tls in {
        secure.dsn(): True,
        f"{secure.dsn()}?sslmode=disable": False,
        f"{secure.dsn()}?sslmode=allow": False,
        f"{elsewhere}?sslmode=verify-ca&sslrootcert={certificates.ca}": True,
        f"{secure.dsn()}?ssl_mode=VERIFY_IDENTITY&ssl_ca={certificates.ca}&{shown}": True,
    }.items():
        endpoint = other.parse(dsn, {})
        conn = await other.connect(endpoint, PASSWORD)
        row = await (await conn.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()")).fetchone()
        assert row == (tls,), dsn
        await other.close(conn)
    stranger = make_certificates(tmp_path)
    for dsn in (
        f"{elsewhere}?sslmode=verify-full&sslrootcert={certificates.ca}",
        f"{secure.dsn()}?sslmode=verify-ca&sslrootcert={stranger.ca}",
        secure.dsn(password="wrong"),
    ):
        endpoint = other.parse(dsn, {})
        assert isinstance(endpoint.password, str)
        with pytest.raises(psycopg.OperationalError) as caught:
            await other.connect(endpoint, endpoint.password)
        assert other.classify(caught.value) is FailureKind.CONFIGURATION
        assert PASSWORD not in str(caught.value)
