"""A password in a file of its own: read at each login, never shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aioclustersql.config import load
from aioclustersql.errors import ConfigError
from aioclustersql.node import Node
from tests.config.texts import ONE_NODE, SECRET, fields


def test_password_file_is_read_at_each_login(node: Callable[..., Node], tmp_path: Path) -> None:
    file = tmp_path / "db.pw"
    file.write_text("first\n")
    password: Callable[[], str] = node(fields(password_file='"db.pw"')).connect_options["password"]
    assert password() == "first"
    file.write_text("second")
    assert password() == "second"


@pytest.mark.parametrize(("text", "password"), [("pw\n", "pw"), ("pw\r\n", "pw"), (" pw \n\n", " pw \n"), ("", ""), ("pä", "pä")])
def test_only_the_last_line_end_is_stripped(node: Callable[..., Node], tmp_path: Path, text: str, password: str) -> None:
    (tmp_path / "db.pw").write_bytes(text.encode())
    assert node(fields(password_file='"db.pw"')).connect_options["password"]() == password


def test_password_file_is_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "config.toml").write_text(fields(password_file='"db.pw"'))
    (tmp_path / "etc" / "db.pw").write_text(SECRET)
    monkeypatch.chdir(tmp_path)
    (made,) = load("etc/config.toml").nodes
    monkeypatch.chdir("/")
    assert made.connect_options["password"]() == SECRET


def test_password_file_missing_at_load_names_the_key(problems: Callable[..., list[str]], tmp_path: Path) -> None:
    assert problems(fields(password_file='"db.pw"')) == [
        f"nodes[0].password_file (a): cannot read the password file '{tmp_path}/db.pw': No such file or directory"
    ]


def test_password_file_missing_at_login_names_the_path(node: Callable[..., Node], tmp_path: Path) -> None:
    (tmp_path / "db.pw").write_text(SECRET)
    password = node(fields(password_file='"db.pw"')).connect_options["password"]
    (tmp_path / "db.pw").unlink()
    with pytest.raises(ConfigError, match=f"cannot read the password file '{tmp_path}/db.pw': No such file or directory"):
        password()


def test_password_file_that_is_not_utf8_is_not_shown(problems: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "db.pw").write_bytes(b"\xffsecret")
    assert problems(fields(password_file='"db.pw"')) == [
        f"nodes[0].password_file (a): the password file '{tmp_path}/db.pw' is not UTF-8"
    ]


def test_password_file_shows_no_secret_in_its_repr(node: Callable[..., Node], tmp_path: Path) -> None:
    (tmp_path / "db.pw").write_text(SECRET)
    assert repr(node(fields(password_file='"db.pw"')).connect_options["password"]) == f"PasswordFile('{tmp_path}/db.pw')"


def test_default_password_file_serves_a_dsn(node: Callable[..., Node], tmp_path: Path) -> None:
    (tmp_path / "db.pw").write_text(SECRET)
    made = node(f'[defaults]\npassword_file = "db.pw"\n{ONE_NODE}')
    assert made.dsn == "mysql://root@db1/test"
    assert made.connect_options["password"]() == SECRET


def test_a_nodes_password_takes_the_place_of_the_default_file(node: Callable[..., Node], tmp_path: Path) -> None:
    (tmp_path / "db.pw").write_text(SECRET)
    made = node(f'[defaults]\npassword_file = "db.pw"\n{ONE_NODE.replace("root", "root:mine")}')
    assert made.dsn == "mysql://root:mine@db1/test"
    assert "password" not in made.connect_options


def test_a_dsn_may_have_a_password_file_beside_it(node: Callable[..., Node], tmp_path: Path) -> None:
    (tmp_path / "db.pw").write_text(SECRET)
    assert node(ONE_NODE + 'password_file = "db.pw"').connect_options["password"]() == SECRET


@pytest.mark.parametrize("table", ["[[nodes]]\nname = 'a'\nhost = 'h'", "[defaults]"])
def test_password_and_password_file_exclude_each_other(problems: Callable[..., list[str]], tmp_path: Path, table: str) -> None:
    (tmp_path / "db.pw").write_text(SECRET)
    text = f"[cluster]\ndriver = 'asyncpg'\n{table}\npassword = '{SECRET}'\npassword_file = 'db.pw'\n"
    text += "" if "nodes" in table else ONE_NODE
    where = "nodes[0].password_file (a)" if "nodes" in table else "defaults.password_file"
    assert problems(text) == [f"{where}: not together with password; keep one of them"]


def test_password_file_beside_a_dsn_with_a_password_is_an_error(problems: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "db.pw").write_text(SECRET)
    assert problems(f'[[nodes]]\nname = "a"\ndsn = "mysql://root:{SECRET}@h"\npassword_file = "db.pw"') == [
        "nodes[0].password_file (a): not together with a password in the dsn; keep one of them"
    ]


def test_unreadable_password_file_names_the_key(problems: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "db.pw").mkdir()
    assert problems(fields(password_file='"db.pw"')) == [
        f"nodes[0].password_file (a): cannot read the password file '{tmp_path}/db.pw': Is a directory"
    ]
