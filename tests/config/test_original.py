"""The Go package's own file."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aioclustersql.config import Settings
from aioclustersql.dsn import Url, parse_url
from aioclustersql.node import Node

ORIGINAL = """\
# Config file for the cluster test

[[Nodes]]
  Name = "left"
  HostName = "10.1.0.1"
  Port = 3301
  UserName = "root"
  DBName = "test"

[[Nodes]]
  Name = "right"
  HostName = "10.1.0.2"
  Port = 3302
  UserName = "app"
  Password = "a${b}$$c@d"
  DBName = "test"
"""


def test_the_originals_file_loads_unchanged(read: Callable[..., Settings]) -> None:
    settings = read(ORIGINAL)
    assert dict(settings.options) == {}
    assert settings.nodes[0] == Node("left", "mysql://root@10.1.0.1:3301/test")
    assert parse_url(settings.nodes[1].dsn) == Url("mysql", "app", "a${b}$$c@d", "10.1.0.2", 3302, "test")


def test_the_originals_keys_may_be_left_out_as_there(url: Callable[..., Url]) -> None:
    assert url('[[Nodes]]\nName = "a"\nPassword = ""') == Url("mysql", host="localhost", port=3306)


def test_the_originals_bracketed_host_is_understood(url: Callable[..., Url]) -> None:
    assert url('[[Nodes]]\nName = "a"\nHostName = "[::1]"\nPort = 3301').host == "::1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Port = '3301'", "Nodes[0].Port (a): must be a whole number from 1 to 65535, not a string"),
        ("Pasword = 'x'", "Nodes[0].Pasword (a): unknown key; did you mean 'Password'?"),
        ("host = 'x'", "Nodes[0].host (a): unknown key; did you mean 'HostName'?"),
        ("[[Nodes]]\nName = 'a'", "Nodes[1].Name (a): Nodes[0] has this name already"),
        (
            "[cluster]\nname = 'x'",
            (
                "cluster: unknown key beside [[Nodes]], as the Go package has them; "
                "write [[nodes]], with name, host, port, user, ..."
            ),
        ),
    ],
)
def test_errors_of_the_originals_file_have_its_paths(problems: Callable[..., list[str]], text: str, said: str) -> None:
    assert problems("[[Nodes]]\nName = 'a'\n" + text) == [said]
