"""Options by name, and the text of a URL's query as values."""

import pytest

from aioclustersql.drivers.options import check_known, convert, convert_known, nearest
from aioclustersql.errors import ConfigError


def test_known_options_pass() -> None:
    check_known({"charset": 1, "ssl": 2}, {"charset", "ssl", "port"}, "aiomysql")


def test_an_unknown_option_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        check_known(["comand-timeout"], {"command_timeout", "ssl"}, "asyncpg")
    assert str(caught.value) == "unknown option 'comand-timeout' for asyncpg; did you mean 'command_timeout'?"


def test_an_option_near_to_none_lists_them_all() -> None:
    with pytest.raises(ConfigError, match=r"^unknown option 'zzz' for asyncpg; known are command_timeout, ssl$"):
        check_known(["zzz"], {"command_timeout", "ssl"}, "asyncpg")


def test_case_and_dashes_do_not_hide_the_nearest() -> None:
    assert nearest("Read-Timeout", {"read_timeout", "charset"}) == "read_timeout"
    assert nearest("x", {"read_timeout"}) is None


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        *[(text, bool, True) for text in ("true", "1", "yes", "on", "TRUE")],
        *[(text, bool, False) for text in ("false", "0", "no", "off", "Off")],
        ("42", int, 42),
        ("-1", int, -1),
        ("2.5", float, 2.5),
        ("3", float, 3.0),
        (" text ", str, " text "),
    ],
)
def test_text_becomes_a_value(text: str, kind: type, value: object) -> None:
    converted = convert("name", text, kind, "url")
    assert converted == value
    assert type(converted) is kind


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        ("maybe", bool, "true or false"),
        ("2.5", int, "a whole number"),
        ("", int, "a whole number"),
        ("soon", float, "a number"),
        ("nan", float, "a number"),
        ("inf", float, "a number"),
    ],
)
def test_text_that_is_no_such_value_names_option_and_url(text: str, kind: type, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        convert("limit", text, kind, "postgresql://app:***@db/shop")
    assert str(caught.value) == f"'postgresql://app:***@db/shop': the option 'limit' is {what}, not {text!r}"


def test_only_named_options_are_converted() -> None:
    assert convert_known({"a": "1", "b": "1"}, {"a": int}, "url") == {"a": 1, "b": "1"}
