"""URLs of nodes: taken apart, split, refused; and no password in what is said of them."""

from __future__ import annotations

import pytest

from aioclustersql.dsn import Url, parse_url, redact, split_hosts
from aioclustersql.errors import ConfigError


def test_every_part_of_a_url_is_found():
    assert parse_url("postgresql://app:pw@db1:5433/shop?sslmode=prefer&x=1") == Url(
        "postgresql", "app", "pw", "db1", 5433, "shop", {"sslmode": "prefer", "x": "1"}
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://", Url("mysql")),
        ("mysql://db", Url("mysql", host="db")),
        ("mysql:///shop", Url("mysql", database="shop")),
        ("mysql://db:/", Url("mysql", host="db")),
        ("MySQL+aiomysql://db", Url("mysql+aiomysql", host="db")),
        ("mysql://app@db", Url("mysql", user="app", host="db")),
        ("mysql://app:@db", Url("mysql", user="app", password="", host="db")),
        ("mysql://db?a=&b=2", Url("mysql", host="db", options={"a": "", "b": "2"})),
        ("mysql://db/shop?a=1#later", Url("mysql", host="db", database="shop", options={"a": "1"})),
    ],
)
def test_parts_may_be_left_out(url: str, expected: Url):
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    ("url", "user", "password"),
    [
        ("mysql://a%40b:p%3Aw%2F%40@db", "a@b", "p:w/@"),
        ("mysql://app:p:w@db", "app", "p:w"),
        ("mysql://app:p@w@db", "app", "p@w"),
        ("mysql://%C3%A4:%E2%82%AC@db", "ä", "€"),
        ("mysql://app:a+b@db", "app", "a+b"),
    ],
)
def test_credentials_are_percent_decoded(url: str, user: str, password: str):
    assert (parse_url(url).user, parse_url(url).password, parse_url(url).host) == (user, password, "db")


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("mysql://[::1]:3306/x", "::1", 3306),
        ("mysql://[2001:db8::1]", "2001:db8::1", None),
        ("mysql://%2Frun%2Fmysqld.sock/x", "/run/mysqld.sock", None),
        ("mysql://db:65535", "db", 65535),
    ],
)
def test_hosts_are_names_addresses_or_sockets(url: str, host: str, port: int | None):
    assert (parse_url(url).host, parse_url(url).port) == (host, port)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "1.5", "٣"])
def test_a_port_is_a_number_from_1_to_65535(port: str):
    with pytest.raises(ConfigError, match="is not a number from 1 to 65535"):
        parse_url(f"mysql://db:{port}/x")


@pytest.mark.parametrize("hosts", ["::1", "a:1:2", "[::1", "[::1]x"])
def test_a_host_that_is_none_is_refused(hosts: str):
    with pytest.raises(ConfigError, match="is not host, host:port or"):
        parse_url(f"mysql://{hosts}/x")


def test_several_hosts_are_no_node():
    with pytest.raises(ConfigError, match="names several hosts; one node has one"):
        parse_url("mysql://a,b/x")


def test_an_option_given_twice_is_refused():
    with pytest.raises(ConfigError, match="the option 'a' is given twice"):
        parse_url("mysql://db?a=1&a=2")


@pytest.mark.parametrize("wrong", ["", "db", "db:3306/shop", "app:secret@db/shop", "//db", "1a://db"])
def test_what_is_no_url_is_refused_and_told_how_one_looks(wrong: str):
    with pytest.raises(ConfigError, match="is not a URL; write scheme://user:password@host:port/database") as caught:
        parse_url(wrong)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("wrong", [None, 7, b"mysql://db"])
def test_what_is_no_text_is_refused(wrong: object):
    with pytest.raises(ConfigError, match="a node's address is a URL string, not"):
        parse_url(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("go", "url"),
    [
        ("user:secret@tcp(db1:3306)/shop", "mysql://user:***@db1:3306/shop"),
        ("user@tcp(db1)/shop?charset=utf8", "mysql://user@db1/shop"),
        ("tcp(db1:3306)/", "mysql://db1:3306/"),
        ("user:se:c@ret@tcp([::1]:3306)/shop", "mysql://user:***@[::1]:3306/shop"),
        ("user:secret@unix(/run/mysqld.sock)/shop", "mysql://user:***@localhost/shop?unix_socket=/run/mysqld.sock"),
    ],
)
def test_a_go_dsn_is_an_error_that_shows_the_url_to_write(go: str, url: str):
    with pytest.raises(ConfigError, match="is a DSN of the Go driver; write it as a URL: ") as caught:
        parse_url(go)
    assert f"{url!r}" in str(caught.value)
    assert "ret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "pairs"),
    [
        ("mysql://app:pw@a,b:3307,[::1]:9/x?y=1", ["a", "b:3307", "[::1]:9"]),
        ("mysql://app:pw@a/x", ["a"]),
        ("mysql:///x", ["localhost"]),
    ],
)
def test_hosts_are_split_into_nodes_named_after_them(url: str, pairs: list[str]):
    assert [name for name, _ in split_hosts(url)] == pairs


def test_each_of_several_nodes_has_its_own_url_with_all_the_rest():
    assert split_hosts("mysql://app:p%2Cw@a,b:1/x?y=1,2") == (
        ("a", "mysql://app:p%2Cw@a/x?y=1,2"),
        ("b:1", "mysql://app:p%2Cw@b:1/x?y=1,2"),
    )


@pytest.mark.parametrize("hosts", ["a,,b", ",a", "a,"])
def test_an_empty_host_between_commas_is_refused(hosts: str):
    with pytest.raises(ConfigError, match="an empty host between the commas"):
        split_hosts(f"mysql://{hosts}/x")


def test_a_host_named_twice_is_refused():
    with pytest.raises(ConfigError, match="names a, b:1 more than once"):
        split_hosts("mysql://a,b:1,a,c,b:1/x")


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("mysql://app:secret@db/x", "mysql://app:***@db/x"),
        ("mysql://app:se@cr/et@db/x", "mysql://app:***@db/x"),
        ("mysql://:secret@db/x", "mysql://:***@db/x"),
        ("mysql://app@db/x", "mysql://app@db/x"),
        ("mysql://db/x?password=secret&a=1", "mysql://db/x?password=***&a=1"),
        ("mysql://db/x?a=1&PassWd=secret", "mysql://db/x?a=1&PassWd=***"),
        ("mysql://db/x?sslpassword=secret", "mysql://db/x?sslpassword=***"),
        ("app:secret@tcp(db:3306)/x", "app:***@tcp(db:3306)/x"),
    ],
)
def test_a_password_is_replaced_by_stars(dsn: str, shown: str):
    assert redact(dsn) == shown


def test_the_repr_of_a_url_shows_neither_its_password_nor_its_options():
    assert repr(parse_url("mysql://app:secret@db/x?password=secret")) == (
        "Url(scheme='mysql', user='app', host='db', port=None, database='x')"
    )
