"""What the aiomysql driver makes of addresses, options and exceptions; no server is met."""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

import asyncio
import errno
import inspect
import socket
import ssl

import aiomysql
import pytest
from pymysql.constants import CLIENT

from aioclustersql.drivers.aiomysql import AiomysqlDriver
from aioclustersql.drivers.base import Endpoint
from aioclustersql.drivers.mysql.options import as_latin1
from aioclustersql.drivers.mysql.wire import is_on
from aioclustersql.drivers.sockets import classify_os_error
from aioclustersql.drivers.tls import TlsMode
from aioclustersql.errors import ConfigError
from aioclustersql.failure import FailureKind

DRIVER = AiomysqlDriver()


def parse(dsn: str, **options) -> Endpoint:
    return DRIVER.parse(dsn, options)


# Addresses


@pytest.mark.parametrize(
    ("dsn", "address", "arguments"),
    [
        ("mysql://", "localhost:3306", {"host": "localhost", "port": 3306}),
        ("mariadb://db1", "db1:3306", {"host": "db1", "port": 3306}),
        ("MySQL+aiomysql://u@db1:1/shop", "db1:1", {"host": "db1", "port": 1, "user": "u", "db": "shop"}),
        ("mariadb+aiomysql://[::1]:3307", "[::1]:3307", {"host": "::1", "port": 3307}),
        ("mysql://a%40b@h/s%2Fp", "h:3306", {"host": "h", "port": 3306, "user": "a@b", "db": "s/p"}),
        ("mysql://u@localhost/d?unix_socket=/run/x.sock", "/run/x.sock", {"unix_socket": "/run/x.sock", "user": "u", "db": "d"}),
        ("mysql://u@%2Frun%2Fx.sock/d", "/run/x.sock", {"unix_socket": "/run/x.sock", "user": "u", "db": "d"}),
    ],
)
def test_addresses(dsn: str, address: str, arguments: dict[str, object]):
    endpoint = parse(dsn)
    assert endpoint.address == address
    assert endpoint.arguments == arguments
    assert endpoint.extra is None


def test_the_password_is_decoded_and_shown_nowhere():
    endpoint = parse("mysql://u:p%40s%25s@h/d?charset=utf8mb4")
    assert endpoint.password == "p@s%s"
    assert repr(endpoint) == "Endpoint(address='h:3306')"
    assert "password" not in endpoint.arguments


@pytest.mark.parametrize(
    ("dsn", "options", "words"),
    [
        ("postgresql://h", {}, ["schemes", "mariadb"]),
        ("mysql://h?host=x", {}, ["'host'"]),
        ("mysql://h?password=secret", {}, ["'password'", "***"]),
        ("mysql://h?cursorclass=DictCursor", {}, ["'cursorclass'", "connect_options"]),
        ("mysql://h?charst=utf8mb4", {}, ["'charst'", "did you mean 'charset'"]),
        ("mysql://h?connect_timeout=soon", {}, ["'connect_timeout'", "number"]),
        ("mysql://h?autocommit=maybe", {}, ["'autocommit'", "true or false"]),
        ("mysql://h?target_session_attrs=any", {}, ["target_session_attrs", "target="]),
        ("mysql://h?sslmode=on", {}, ["sslmode", "verify-full"]),
        ("mysql://h?charset=utf9", {}, ["charset 'utf9'"]),
        ("mysql://a..b", {}, ["'a..b'", "host name"]),
        ("mysql://u:secret@h", {"host": "other"}, ["'host'", "URL", "***"]),
        ("mysql://h", {"port": 1}, ["'port'", "URL"]),
        ("mysql://h", {"unix_socket": "/x"}, ["'unix_socket'", "URL"]),
        ("mysql://h", {"db": "d"}, ["'db'", "URL"]),
        ("mysql://h", {"passwd": "x"}, ["'passwd'", "did you mean 'password'"]),
        ("mysql://h", {"init_comand": "x"}, ["'init_comand'", "did you mean 'init_command'"]),
        ("mysql://h", {"loop": "x"}, ["'loop'"]),
        ("mysql://h", {"autocommit": "no"}, ["'autocommit'", "bool"]),
        ("mysql://h", {"client_flag": "x"}, ["'client_flag'", "int"]),
        ("mysql://h", {"client_flag": True}, ["'client_flag'", "int"]),
        ("mysql://h", {"password": b"secret"}, ["'password'", "bytes"]),
        ("mysql://h", {"user": 3}, ["'user'", "int"]),
        ("mysql://h", {"target_session_attrs": "any"}, ["target_session_attrs", "target="]),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_shown(dsn: str, options: dict[str, object], words: list[str]):
    with pytest.raises(ConfigError) as caught:
        parse(dsn, **options)
    message = str(caught.value)
    assert [word for word in words if word not in message] == []
    assert "secret" not in message


# Options


def test_query_options_get_their_types():
    endpoint = parse(
        "mysql://h?charset=utf8mb4&autocommit=on&connect_timeout=2.5&client_flag=2&local_infile=0&use_unicode=no"
        "&init_command=SET%20@a=1&sql_mode=%27ANSI%27&program_name=shop&read_default_file=/x.cnf&echo=true"
    )
    assert endpoint.arguments == {
        "host": "h",
        "port": 3306,
        "charset": "utf8mb4",
        "autocommit": True,
        "connect_timeout": 2.5,
        "client_flag": 2,
        "local_infile": False,
        "use_unicode": False,
        "init_command": "SET @a=1",
        "sql_mode": "'ANSI'",
        "program_name": "shop",
        "read_default_file": "/x.cnf",
        "echo": True,
    }


def test_connect_options_go_over_the_url_and_none_means_the_default():
    endpoint = parse(
        "mysql://u:a@h?charset=latin1&connect_timeout=3", user="v", password="b", charset="utf8mb4", connect_timeout=None
    )
    assert endpoint.arguments == {"host": "h", "port": 3306, "user": "v", "charset": "utf8mb4"}
    assert endpoint.password == "b"
    assert parse("mysql://h", autocommit=None).arguments["autocommit"] is None


def test_a_password_may_be_a_function():
    def rotated() -> str:
        return "x"

    assert parse("mysql://u:old@h", password=rotated).password is rotated


def test_every_option_of_the_installed_driver_is_known():
    ours = {"host", "port", "unix_socket", "db", "loop", "ssl"}
    for name, parameter in inspect.signature(aiomysql.connect).parameters.items():
        if name not in ours:
            value = "x" if parameter.default is None and name in ("user", "password") else parameter.default
            assert parse("mysql://h", **{name: value}).address == "h:3306"


def test_tls_words_of_both_worlds():
    assert parse("mysql://h?ssl_mode=VERIFY_IDENTITY&ssl_ca=/ca.pem").extra.mode is TlsMode.VERIFY_FULL
    assert parse("mysql://h?ssl-mode=REQUIRED").extra.mode is TlsMode.REQUIRE
    assert parse("mysql://h?sslmode=disable", sslmode="verify-ca").extra.mode is TlsMode.VERIFY_CA
    context = ssl.create_default_context()
    assert parse("mysql://h", ssl=context).extra.ssl_context() is context


# Options of one connect


def test_override_goes_over_the_node_and_leaves_it_as_it_is():
    node = parse("mysql://u:pw@h?charset=latin1&client_flag=2", sslmode="require")
    one = DRIVER.override(node, {"charset": "utf8mb4", "client_flag": CLIENT.FOUND_ROWS | 8, "sslmode": "disable"})
    assert one.arguments == {"host": "h", "port": 3306, "user": "u", "charset": "utf8mb4", "client_flag": 2 | 8}
    assert (one.address, one.password, one.extra.mode) == ("h:3306", "pw", TlsMode.DISABLE)
    assert (node.arguments["charset"], node.extra.mode) == ("latin1", TlsMode.REQUIRE)


@pytest.mark.parametrize("name", ["host", "port", "unix_socket", "db", "user", "password", "passwd", "dsn"])
def test_override_refuses_an_address_and_a_user(name: str):
    with pytest.raises(ConfigError, match=f"'{name}'"):
        DRIVER.override(parse("mysql://h"), {name: "secret"})


def test_override_refuses_what_is_unknown():
    with pytest.raises(ConfigError, match="did you mean 'autocommit'"):
        DRIVER.override(parse("mysql://h"), {"autocomit": True})
    with pytest.raises(ConfigError, match="client_flag"):
        DRIVER.override(parse("mysql://h?client_flag=1"), {"client_flag": "x"})


async def test_override_takes_the_running_loop_only():
    node = parse("mysql://h")
    assert DRIVER.override(node, {"loop": asyncio.get_running_loop()}).arguments == node.arguments
    assert DRIVER.override(node, {"loop": None}).arguments == node.arguments
    other = asyncio.new_event_loop()
    try:
        with pytest.raises(ConfigError, match="'loop'"):
            DRIVER.override(node, {"loop": other})
    finally:
        other.close()


def test_passwords_keep_their_utf8_and_a_broken_one_is_not_shown():
    assert as_latin1("pä€").encode("latin-1") == "pä€".encode()
    with pytest.raises(ConfigError) as caught:
        as_latin1("secret\ud800")
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


# What failures mean

K = FailureKind


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        *[(code, "", K.CONFIGURATION) for code in (1044, 1045, 1049, 1130, 1698, 2026, 2059, 2061, 3118, 3159)],
        *[(code, "", K.OVERLOADED) for code in (1040, 1203, 1226)],
        *[(code, "", K.UNREACHABLE) for code in (1053, 2002, 2003, 3032)],
        *[(code, "", K.SESSION_LOST) for code in (1927, 2006, 2013, 2055)],
        *[(code, "", K.ROLLED_BACK) for code in (1020, 1213, 3101)],
        *[(code, "", K.INTERRUPTED) for code in (1317, 1969, 3024)],
        *[(code, "", K.ROLE_CHANGED) for code in (1792, 1836)],
        (1129, "", K.HOST_BLOCKED),
        (1047, "", K.NOT_READY),
        (4031, "", K.IDLE_CLOSED),
        (1205, "", K.LOCK_TIMEOUT),
        (1180, "", K.OUTCOME_UNKNOWN),
        (1290, "The MariaDB server is running with the --read-only option", K.ROLE_CHANGED),
        (1290, "The MariaDB server is running with the --read-only=NO_LOCK option", K.ROLE_CHANGED),
        (1290, "The MySQL server is running with the --super-read-only option", K.ROLE_CHANGED),
        (1290, "The MySQL server is running with the --secure-file-priv option", K.OTHER),
        (1062, "Duplicate entry", K.OTHER),
        (1064, "You have an error in your SQL syntax near 'read-only'", K.OTHER),
    ],
)
def test_codes(code: int, text: str, kind: FailureKind):
    assert DRIVER.classify(aiomysql.OperationalError(code, text)) is kind


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), K.UNREACHABLE),
        (OSError(errno.EHOSTUNREACH, "x"), K.UNREACHABLE),
        (OSError(errno.ENETUNREACH, "x"), K.UNREACHABLE),
        (FileNotFoundError(errno.ENOENT, "x"), K.UNREACHABLE),
        (socket.gaierror(socket.EAI_AGAIN, "x"), K.UNREACHABLE),
        (socket.gaierror(socket.EAI_NONAME, "x"), K.CONFIGURATION),
        (socket.gaierror(socket.EAI_NODATA, "x"), K.CONFIGURATION),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0), [Errno 111] Connect…"), K.UNREACHABLE),
        (OSError("Multiple exceptions: [Errno 101] Network is unreachable, [Errno 110] Connect call failed"), K.TIMEOUT),
        (TimeoutError(), K.TIMEOUT),
        (OSError(errno.ETIMEDOUT, "x"), K.TIMEOUT),
        (ConnectionAbortedError("SSL handshake is taking longer than 60.0 seconds: aborting the connection"), K.TIMEOUT),
        (ConnectionResetError(errno.ECONNRESET, "x"), K.SESSION_LOST),
        (ConnectionResetError("Connection lost"), K.SESSION_LOST),
        (BrokenPipeError(errno.EPIPE, "x"), K.SESSION_LOST),
        (asyncio.IncompleteReadError(b"", 4), K.SESSION_LOST),
        (ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "x"), K.SESSION_LOST),
        (ssl.SSLCertVerificationError(1, "x"), K.CONFIGURATION),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), K.CONFIGURATION),
        (PermissionError(errno.EACCES, "x"), K.CONFIGURATION),
        (OSError("AF_UNIX path too long"), K.CONFIGURATION),
        (OSError(errno.EMFILE, "Too many open files"), K.OTHER),
        (OSError("something else"), K.OTHER),
    ],
)
def test_errors_of_the_socket_bare_and_as_the_cause_of_2003(exc: BaseException, kind: FailureKind):
    assert classify_os_error(exc) is kind
    assert DRIVER.classify(exc) is kind
    wrapped = aiomysql.OperationalError(2003, "Can't connect to MySQL server on 'h'")
    wrapped.__cause__ = exc
    assert DRIVER.classify(wrapped) is kind


def test_an_error_that_is_none_of_the_sockets_is_not_judged():
    assert classify_os_error(ValueError("x")) is None
    assert DRIVER.classify(ValueError("x")) is K.OTHER
    assert DRIVER.classify(ConfigError("x")) is K.CONFIGURATION


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (aiomysql.InterfaceError("(0, 'Not connected')"), K.FOUND_CLOSED),
        (aiomysql.InterfaceError("Cancelled during execution"), K.FOUND_CLOSED),
        (aiomysql.InterfaceError(0, "Not connected"), K.FOUND_CLOSED),
        (aiomysql.InternalError("Packet sequence number wrong - got 3 expected 1"), K.SESSION_LOST),
        (
            RuntimeError("'cryptography' package is required for sha256_password or caching_sha2_password auth methods"),
            K.CONFIGURATION,
        ),
        (RuntimeError("something else"), K.OTHER),
        (aiomysql.ProgrammingError("Cursor closed"), K.OTHER),
    ],
)
def test_exceptions_without_a_code(exc: BaseException, kind: FailureKind):
    assert DRIVER.classify(exc) is kind


def test_causes_are_followed_to_the_first_meaning():
    lost = aiomysql.OperationalError(2013, "Lost connection to MySQL server during query")
    lost.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "x")
    assert DRIVER.classify(lost) is K.SESSION_LOST
    outer = ValueError("x")
    outer.__cause__ = aiomysql.OperationalError(1213, "Deadlock found")
    assert DRIVER.classify(outer) is K.ROLLED_BACK


@pytest.mark.parametrize(
    ("value", "on"),
    [
        (0, False),
        (1, True),
        ("OFF", False),
        ("ON", True),
        ("NO_LOCK", True),
        ("NO_LOCK_NO_ADMIN", True),
        (b"OFF", False),
        (b"ON", True),
    ],
)
def test_read_only_is_a_number_or_a_word(value: object, on: bool):
    assert is_on(value) is on
