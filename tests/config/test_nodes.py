"""How the fields of a node and [defaults] become its URL and its connect options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aioclustersql.dsn import Url
from aioclustersql.node import Node
from tests.config.texts import ONE_NODE, fields


@pytest.mark.parametrize(
    ("driver", "scheme"),
    [("aiomysql", "mysql"), ("asyncmy", "mysql"), ("asyncpg", "postgresql"), ("psycopg", "postgresql")],
)
def test_driver_tells_the_scheme(url: Callable[..., Url], driver: str, scheme: str) -> None:
    assert url(f'[cluster]\ndriver = "{driver}"\n[[nodes]]\nname = "a"\nhost = "db1"').scheme == scheme


def test_scheme_may_be_said_for_a_driver_of_ones_own(url: Callable[..., Url]) -> None:
    text = '[cluster]\ndriver = "mine"\n[defaults]\nscheme = "fakedb"\n[[nodes]]\nname = "a"\nhost = "db1"'
    assert url(text).scheme == "fakedb"


def test_fields_become_a_url(url: Callable[..., Url]) -> None:
    parts = url(fields(port="5433", user='"app"', password='"pw"', database='"shop"', sslmode='"require"'))
    assert parts == Url("postgresql", "app", "pw", "db1", 5433, "shop", {"sslmode": "require"})


def test_parts_of_a_url_are_percent_encoded(url: Callable[..., Url]) -> None:
    odd = "a@b:c/d?e#f%g h+ä[]"
    parts = url(fields(user=f'"{odd}"', password=f'"{odd}"', database=f'"{odd}"', sslrootcert=f'"/{odd}"'))
    assert (parts.user, parts.password, parts.database, parts.options["sslrootcert"]) == (odd, odd, odd, "/" + odd)


@pytest.mark.parametrize("host", ["::1", "[::1]", "fe80::1%eth0"])
def test_ipv6_hosts_are_bracketed(url: Callable[..., Url], host: str) -> None:
    assert url(fields(host=f'"{host}"', port="5432")).host == host.strip("[]")


def test_mysql_socket_is_an_option(url: Callable[..., Url]) -> None:
    text = '[cluster]\ndriver = "aiomysql"\n[[nodes]]\nname = "a"\nunix_socket = "/run/my.sock"'
    assert url(text) == Url("mysql", options={"unix_socket": "/run/my.sock"})


def test_postgresql_socket_is_the_host(url: Callable[..., Url]) -> None:
    text = '[cluster]\ndriver = "asyncpg"\n[[nodes]]\nname = "a"\nunix_socket = "/run/postgresql"\nport = 5433'
    assert url(text) == Url("postgresql", host="/run/postgresql", port=5433)


def test_empty_password_is_a_password(url: Callable[..., Url]) -> None:
    assert url(fields(user='"app"', password='""')).password == ""


def test_weight_and_connect_options_are_the_nodes(node: Callable[..., Node]) -> None:
    made = node(ONE_NODE + "weight = 2\n[nodes.connect_options]\ncharset = 'latin1'")
    assert (made.weight, dict(made.connect_options)) == (2.0, {"charset": "latin1"})


def test_certificates_are_found_beside_the_file(url: Callable[..., Url], tmp_path: Path) -> None:
    options = url(fields(sslrootcert='"ca.pem"', sslcert='"tls/me.pem"', sslkey='"/etc/key.pem"')).options
    assert options == {"sslrootcert": f"{tmp_path}/ca.pem", "sslcert": f"{tmp_path}/tls/me.pem", "sslkey": "/etc/key.pem"}


@pytest.mark.parametrize("word", ["system", "~/ca.pem"])
def test_root_certificates_that_are_no_relative_path_stay(url: Callable[..., Url], word: str) -> None:
    assert url(fields(sslrootcert=f'"{word}"')).options == {"sslrootcert": word}


DEFAULTS = """
[cluster]
driver = "aiomysql"
[defaults]
host = "db9"
port = 3307
user = "app"
password = "pw"
database = "shop"
sslmode = "require"
weight = 3
[defaults.connect_options]
charset = "utf8mb4"
autocommit = true
"""


def test_defaults_fill_what_a_node_does_not_say(node: Callable[..., Node]) -> None:
    made = node(DEFAULTS + '[[nodes]]\nname = "a"')
    assert made.dsn == "mysql://app:pw@db9:3307/shop?sslmode=require"
    assert made.weight == 3
    assert dict(made.connect_options) == {"charset": "utf8mb4", "autocommit": True}


def test_a_nodes_own_words_win_over_defaults(node: Callable[..., Node]) -> None:
    made = node(
        DEFAULTS
        + """
        [[nodes]]
        name = "a"
        host = "db1"
        port = 1
        user = "me"
        password = "mine"
        database = "other"
        sslmode = "disable"
        weight = 1
        [nodes.connect_options]
        charset = "latin1"
        """
    )
    assert made.dsn == "mysql://me:mine@db1:1/other?sslmode=disable"
    assert made.weight == 1
    assert dict(made.connect_options) == {"charset": "latin1", "autocommit": True}


def test_a_nodes_socket_takes_the_place_of_the_default_host(url: Callable[..., Url]) -> None:
    parts = url(DEFAULTS + '[[nodes]]\nname = "a"\nunix_socket = "/run/my.sock"')
    assert (parts.host, parts.options["unix_socket"]) == ("", "/run/my.sock")


def test_a_nodes_host_takes_the_place_of_the_default_socket(url: Callable[..., Url]) -> None:
    defaults = DEFAULTS.replace('host = "db9"', 'unix_socket = "/run/my.sock"')
    parts = url(defaults + '[[nodes]]\nname = "a"\nhost = "db1"')
    assert (parts.host, "unix_socket" in parts.options) == ("db1", False)


def test_a_nodes_certificate_takes_the_place_of_the_default_pair(url: Callable[..., Url]) -> None:
    text = '[cluster]\ndriver = "asyncpg"\n[defaults]\nsslcert = "/d.pem"\nsslkey = "/d.key"\nsslpassword = "pw"\n'
    assert url(text + '[[nodes]]\nname = "a"\nhost = "h"\nsslcert = "/n.pem"').options == {"sslcert": "/n.pem"}


def test_a_default_password_is_not_given_to_another_user(url: Callable[..., Url]) -> None:
    parts = url(DEFAULTS + '[[nodes]]\nname = "a"\nuser = "root"')
    assert (parts.user, parts.password) == ("root", None)


def test_a_default_password_without_a_user_is_everybodys(url: Callable[..., Url]) -> None:
    defaults = DEFAULTS.replace('user = "app"\n', "")
    assert url(defaults + '[[nodes]]\nname = "a"\nuser = "root"').password == "pw"


def test_a_dsn_takes_from_defaults_what_it_does_not_say(node: Callable[..., Node]) -> None:
    made = node(DEFAULTS + '[[nodes]]\nname = "a"\ndsn = "mysql://db1"')
    assert made.dsn == "mysql://app:pw@db1:3307/shop?sslmode=require"


def test_a_dsn_that_says_all_stays_as_it_is(node: Callable[..., Node]) -> None:
    dsn = "MySQL://me:a%40b@db1:1/other?ssl-mode=DISABLED&charset=utf8"
    made = node(DEFAULTS + f'[[nodes]]\nname = "a"\ndsn = "{dsn}"')
    assert made.dsn == dsn


def test_a_dsn_keeps_its_own_options_when_it_is_filled(url: Callable[..., Url]) -> None:
    parts = url(DEFAULTS + '[[nodes]]\nname = "a"\ndsn = "mysql://db1/?init_command=SET+a%3D1%26b"')
    assert parts.options == {"init_command": "SET a=1&b", "sslmode": "require"}


@pytest.mark.parametrize("option", ["ssl_mode=disabled", "ssl=false", "SSLMODE=disable"])
def test_tls_in_any_spelling_is_said_by_the_dsn(url: Callable[..., Url], option: str) -> None:
    options = url(DEFAULTS + f'[[nodes]]\nname = "a"\ndsn = "mysql://db1/?{option}"').options
    assert list(options) == [option.partition("=")[0]]


def test_a_dsn_without_a_host_takes_none_from_defaults(url: Callable[..., Url]) -> None:
    assert url(DEFAULTS + '[[nodes]]\nname = "a"\ndsn = "mysql:///test?unix_socket=/run/my.sock"').host == ""


def test_a_dsn_of_another_user_gets_no_default_password(url: Callable[..., Url]) -> None:
    parts = url(DEFAULTS + '[[nodes]]\nname = "a"\ndsn = "mysql://root@db1"')
    assert (parts.user, parts.password, parts.database) == ("root", None, "shop")


def test_a_dsn_of_the_default_user_gets_its_password(url: Callable[..., Url]) -> None:
    assert url(DEFAULTS + '[[nodes]]\nname = "a"\ndsn = "mysql://app@db1"').password == "pw"
