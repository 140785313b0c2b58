"""`${VAR}` in the strings of the file."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from aioclustersql.config import Settings
from aioclustersql.dsn import Url, parse_url
from aioclustersql.node import Node
from tests.config.texts import ONE_NODE, SECRET, fields


@pytest.mark.parametrize(
    ("text", "environ", "value"),
    [
        ("${PW}", {"PW": "x"}, "x"),
        ("a${PW}b${PW}", {"PW": "x"}, "axbx"),
        ("${PW}", {"PW": ""}, ""),
        ("${PW}", {"PW": "${OTHER} $$"}, "${OTHER} $$"),
        ("${PW:-y}", {}, "y"),
        ("${PW:-y}", {"PW": ""}, "y"),
        ("${PW:-y}", {"PW": "x"}, "x"),
        ("${PW:-}", {}, ""),
        ("${PW:-a:-b$$c}", {}, "a:-b$$c"),
        ("$$", {}, "$"),
        ("$${PW}", {}, "${PW}"),
        ("$$$$", {}, "$$"),
        ("$PW", {"PW": "x"}, "$PW"),
        ("a$b", {}, "a$b"),
        ("100$", {}, "100$"),
    ],
)
def test_variables_and_dollars(url: Callable[..., Url], text: str, environ: dict[str, str], value: str) -> None:
    assert url(fields(password=f'"{text}"'), **environ).password == value


def test_variables_are_taken_in_every_string(read: Callable[..., Settings]) -> None:
    settings = read(
        """
        [cluster]
        name = "${X}-shop"
        [connect_options]
        server_settings = { application_name = "${X}", list = ["${X}"] }
        [[nodes]]
        name = "${X}"
        dsn = "mysql://h"
        """,
        X="eu",
    )
    assert settings.options["name"] == "eu-shop"
    assert settings.options["connect_options"] == {"server_settings": {"application_name": "eu", "list": ["eu"]}}
    assert settings.nodes[0].name == "eu"


def test_values_from_variables_are_plain_strings(read: Callable[..., Settings]) -> None:
    settings = read(f'[cluster]\nname = "${{X}}"\n[connect_options]\ncharset = "${{X}}"\n{ONE_NODE}', X="x")
    assert {type(settings.options["name"]), type(settings.options["connect_options"]["charset"])} == {str}


@pytest.mark.parametrize(("key", "value", "number"), [("port", "5433", 5433), ("weight", "0.5", 0.5), ("weight", "2", 2)])
def test_a_number_may_come_from_a_variable(node: Callable[..., Node], key: str, value: str, number: float) -> None:
    made = node(fields(**{key: '"${N}"'}), N=value)
    assert number in (made.weight, parse_url(made.dsn).port)


def test_seconds_may_come_from_a_variable(read: Callable[..., Settings]) -> None:
    text = '[cluster]\nconnect_timeout = "${A}"\nclose_timeout = "${B:-inf}"\nstagger = "${C:-0}"\n' + ONE_NODE
    options = read(text, A="2.5").options
    assert (options["connect_timeout"], options["close_timeout"], options["stagger"]) == (2.5, math.inf, 0)


def test_a_variable_that_holds_no_number_is_an_error_without_its_value(problems: Callable[..., list[str]]) -> None:
    assert problems(fields(port='"${N}"'), N=SECRET) == [
        "nodes[0].port (a): must be a whole number from 1 to 65535; its variable holds none"
    ]


def test_an_unset_variable_is_named_with_its_key(problems: Callable[..., list[str]]) -> None:
    assert problems(fields(password='"${DB_PASSWORD}"')) == [
        "nodes[0].password (a): the environment variable DB_PASSWORD is not set; set it, or write ${DB_PASSWORD:-default}"
    ]


@pytest.mark.parametrize("key", ["host", "port", "unix_socket", "weight", "password_file"])
def test_nothing_more_is_said_of_a_key_whose_variable_is_unset(problems: Callable[..., list[str]], key: str) -> None:
    host = "" if key in ("host", "unix_socket") else 'host = "h"'
    (line,) = problems(f'[cluster]\ndriver = "asyncpg"\n[[nodes]]\nname = "a"\n{host}\n{key} = "${{X}}"')
    assert line.startswith(f"nodes[0].{key} (a): the environment variable X is not set")


@pytest.mark.parametrize("text", ["${", "${}", "${1X}", "${A-B}", "${A:B}", "x${PW"])
def test_a_malformed_variable_is_an_error_that_shows_nothing(problems: Callable[..., list[str]], text: str) -> None:
    assert problems(fields(password=f'"{SECRET}{text}"')) == [
        "nodes[0].password (a): a variable is written ${NAME} or ${NAME:-default}, a dollar before { is written $$"
    ]


def test_variables_in_a_dsn_are_percent_encoded(url: Callable[..., Url]) -> None:
    odd = "a@b:c/d?e#f%g&h=i +"
    dsn = "postgresql://${U}:${P}@h/${D:-x/y}?application_name=${A}"
    parts = url(f'[[nodes]]\nname = "a"\ndsn = "{dsn}"', U=odd, P=odd, A=odd)
    assert parts == Url("postgresql", odd, odd, "h", None, "x/y", {"application_name": odd})


@pytest.mark.parametrize("text", ["${DATABASE_URL}", "${DATABASE_URL:-mysql://other}"])
def test_a_dsn_may_be_one_variable(node: Callable[..., Node], text: str) -> None:
    assert node(f'[[nodes]]\nname = "a"\ndsn = "{text}"', DATABASE_URL="mysql://root:a%40b@h/t").dsn == "mysql://root:a%40b@h/t"
