"""The asyncpg driver without a server: URLs, options and refusals."""

import asyncio
import getpass
import ssl
from typing import Any

import asyncpg
import pytest

from aioclustersql.drivers.asyncpg import AsyncpgDriver
from aioclustersql.drivers.base import Driver, Endpoint
from aioclustersql.drivers.tls import Tls, TlsMode
from aioclustersql.errors import ConfigError

driver = AsyncpgDriver()


def parse(dsn: str, **options: Any) -> Endpoint:
    return driver.parse(dsn, options)


def arguments(dsn: str, **options: Any) -> dict[str, Any]:
    return dict(parse(dsn, **options).arguments)


def refusal(url: str = "postgresql://app:s3cret@db/shop", **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        driver.parse(url, options)
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


def test_it_is_a_driver() -> None:
    checked: Driver[asyncpg.Connection[Any]] = driver
    assert checked.name == "asyncpg"
    assert checked.schemes == {"postgresql", "postgres", "postgresql+asyncpg", "postgres+asyncpg"}


@pytest.mark.parametrize(
    ("dsn", "address", "parts"),
    [
        ("postgresql://app@db1/shop", "db1:5432", ("db1", 5432, "app", "shop")),
        ("postgres+asyncpg://app@10.0.0.1:6000/shop", "10.0.0.1:6000", ("10.0.0.1", 6000, "app", "shop")),
        ("postgresql://app@[::1]:6000/shop", "[::1]:6000", ("::1", 6000, "app", "shop")),
        ("postgresql://a%40b@db1/my%2Fshop", "db1:5432", ("db1", 5432, "a@b", "my/shop")),
        ("postgresql://app@db1", "db1:5432", ("db1", 5432, "app", "app")),
        ("postgresql://app@/shop?host=/run/pg&port=6000", "/run/pg/.s.PGSQL.6000", ("/run/pg", 6000, "app", "shop")),
        ("postgresql://app@%2Frun%2Fpg/shop", "/run/pg/.s.PGSQL.5432", ("/run/pg", 5432, "app", "shop")),
        ("postgresql:///?user=app&dbname=shop&host=db1", "db1:5432", ("db1", 5432, "app", "shop")),
    ],
)
def test_every_part_of_the_url_is_explicit(dsn: str, address: str, parts: tuple[object, ...]) -> None:
    endpoint = parse(dsn)
    assert endpoint.address == address
    assert tuple(endpoint.arguments[name] for name in ("host", "port", "user", "database")) == parts


def test_what_is_missing_does_not_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HOST": "wrong",
        "PORT": "1",
        "USER": "wrong",
        "DATABASE": "wrong",
        "TARGETSESSIONATTRS": "standby",
    }.items():
        monkeypatch.setenv(f"PG{name}", value)
    endpoint = parse("postgresql://")
    assert endpoint.arguments["host"] == ("/run/postgresql", "/var/run/postgresql", "/tmp", "localhost")
    assert endpoint.arguments["port"] == 5432
    assert endpoint.arguments["user"] == endpoint.arguments["database"] == getpass.getuser()
    assert endpoint.arguments["target_session_attrs"] == "any"
    assert endpoint.address == "localhost:5432"


def test_query_options_get_their_types() -> None:
    found = arguments("postgresql://app@db/shop?command_timeout=2.5&statement_cache_size=0&max_cached_statement_lifetime=10")
    assert found["command_timeout"] == 2.5
    assert found["statement_cache_size"] == 0
    assert found["max_cached_statement_lifetime"] == 10


def test_server_settings_come_by_name_or_by_prefix() -> None:
    found = arguments(
        "postgresql://app@db/shop?application_name=web&TimeZone=UTC&server_settings.my.app=1&options=-c%20geqo%3Doff",
        server_settings={"work_mem": "8MB", "jit": False},
        application_name="worker",
    )
    settings = {
        "application_name": "worker",
        "timezone": "UTC",
        "my.app": "1",
        "options": "-c geqo=off",
        "work_mem": "8MB",
        "jit": "off",
    }
    assert found["server_settings"] == settings


def test_connect_options_go_over_the_urls() -> None:
    async def secret() -> str:
        return "fresh"

    endpoint = parse("postgresql://app:old@db/shop?command_timeout=2", user="other", password=secret, command_timeout=None)
    assert endpoint.arguments["user"] == "other"
    assert endpoint.password is secret
    assert "command_timeout" not in endpoint.arguments
    assert "password" not in endpoint.arguments


def test_tls_words_are_libpqs() -> None:
    assert parse("postgresql://app@db/shop").extra is None
    assert parse("postgresql://app@db/shop?sslmode=verify-full&sslrootcert=ca.pem").extra == Tls(TlsMode.VERIFY_FULL, "ca.pem")
    assert parse("postgresql://app@db/shop?sslmode=verify-full", sslrootcert="ca.pem").extra == Tls(TlsMode.VERIFY_FULL, "ca.pem")
    own = ssl.create_default_context()
    assert parse("postgresql://app@db/shop?sslmode=disable", ssl=own).extra.context is own


def test_direct_tls_passes_through_where_tls_is_required() -> None:
    assert arguments("postgresql://app@db/shop?sslmode=require&sslnegotiation=direct")["direct_tls"] is True
    assert arguments("postgresql://app@db/shop?sslmode=require&direct_tls=on")["direct_tls"] is True
    assert arguments("postgresql://app@db/shop")["direct_tls"] is False
    assert "direct_tls needs sslmode=require" in refusal(direct_tls=True)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (
            "comand_timeout=3",
            "unknown option 'comand_timeout' for asyncpg in 'postgresql://app:***@db/shop?comand_timeout=3'; did",
        ),
        ("comand_timeout=3", "; did you mean 'command_timeout'?"),
        ("command_timeout=soon", "the option 'command_timeout' is a number, not 'soon'"),
        ("command_timeout=0", "the option 'command_timeout' is a number of seconds above 0, not 0.0"),
        ("statement_cache_size=-1", "the option 'statement_cache_size' is a whole number, 0 or more, not -1"),
        ("target_session_attrs=primary", "use target="),
        ("connect_timeout=3", "use connect_timeout of Cluster"),
        ("timeout=3", "use connect_timeout of Cluster"),
        ("server_settings=a", "write server_settings.name=value"),
        ("server_settings.user=a", "'user' is no server setting"),
        ("record_class=a", "use connect_options"),
        ("service=a", "the address of a node is in its URL"),
        ("host=other", "the host is given twice"),
        ("password=s3cret", "the password is given twice"),
        ("sslmode=always", "sslmode 'always' is unknown"),
        ("sslnegotiation=later", "sslnegotiation is direct or postgres, not 'later'"),
        ("sslnegotiation=direct&direct_tls=true", "'sslnegotiation' and 'direct_tls' say the same thing"),
    ],
    ids=lambda value: value.split("=")[0] if "=" in value[:30] else "",
)
def test_a_wrong_query_option_says_what_to_write(query: str, says: str) -> None:
    assert says in refusal(f"postgresql://app:s3cret@db/shop?{query}")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"host": "db2"}, "the option 'host' is refused for asyncpg: the address of a node is in its URL"),
        ({"port": 1}, "'port' is refused"),
        ({"dsn": "postgresql://x"}, "'dsn' is refused"),
        ({"database": "x"}, "'database' is refused"),
        ({"timeout": 5}, "use connect_timeout of Cluster"),
        ({"target_session_attrs": "any"}, "use target="),
        ({"sever_settings": {}}, "did you mean 'server_settings'?"),
        ({"server_settings": "a=b"}, "server_settings maps names to values, it is not str"),
        ({"server_settings": {"a": None}}, "the server setting 'a' is text, not NoneType"),
        ({"command_timeout": True}, "a number of seconds above 0, not True"),
        ({"password": 3}, "password is a string, a function or an async function, not int"),
        ({"user": 3}, "user is a string, not int"),
        ({"ssl": True, "sslmode": "require"}, "contradict each other"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_connect_option_says_what_to_do(options: dict[str, Any], says: str) -> None:
    assert says in refusal(**options)


def test_a_wrong_address_says_so() -> None:
    assert "the scheme 'mysql' is not one of asyncpg's" in refusal("mysql://app:s3cret@db/shop")
    assert "names several hosts" in refusal("postgresql://app:s3cret@/shop?host=a,b")
    assert "the port 70000 is not a number from 1 to 65535" in refusal("postgresql://app:s3cret@db/shop?port=70000")


async def test_one_connects_options_go_over_the_nodes() -> None:
    class Record(asyncpg.Record):
        pass

    node = parse("postgresql://app:s3cret@db/shop?application_name=web&jit=off&sslmode=require")
    once = driver.override(
        node,
        {
            "loop": asyncio.get_running_loop(),
            "connection_class": asyncpg.Connection,
            "record_class": Record,
            "command_timeout": 5,
            "server_settings": {"jit": "on"},
            "sslmode": "verify-full",
        },
    )
    assert once.arguments["connection_class"] is asyncpg.Connection
    assert once.arguments["record_class"] is Record
    assert once.arguments["command_timeout"] == 5
    assert once.arguments["server_settings"] == {"application_name": "web", "jit": "on"}
    assert once.extra.mode == "verify-full"
    assert (once.address, once.password) == (node.address, "s3cret")
    assert "loop" not in once.arguments
    assert node.arguments["server_settings"] == {"application_name": "web", "jit": "off"}
    assert driver.override(node, {"loop": None}) is node


@pytest.mark.parametrize(
    "option",
    ["dsn", "host", "port", "database", "service", "user", "password", "passfile", "timeout", "target_session_attrs"],
)
def test_one_connect_cannot_change_where_or_who(option: str) -> None:
    with pytest.raises(ConfigError, match=f"^the option '{option}' is refused for asyncpg"):
        driver.override(parse("postgresql://app@db/shop"), {option: "x"})


async def test_another_loop_is_refused() -> None:
    other = asyncio.new_event_loop()
    with pytest.raises(ConfigError, match="loop is not the running event loop"):
        driver.override(parse("postgresql://app@db/shop"), {"loop": other})
    other.close()


def test_no_repr_shows_a_secret() -> None:
    endpoint = parse("postgresql://app:s3cret@db/shop?sslcert=a&sslkey=b&sslpassword=hush", server_settings={"my.key": "s3cret"})
    assert "s3cret" not in repr(endpoint)
    assert "hush" not in repr(endpoint)
