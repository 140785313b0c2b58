"""Which file is read, and the keywords of `Cluster` in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioclustersql.config import Settings, load
from aioclustersql.errors import ConfigError
from aioclustersql.node import Node
from tests.config.texts import ONE_NODE, SECRET


def test_path_wins_over_dbconfig(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(ONE_NODE)
    settings = load(str(tmp_path / "mine.toml"), environ={"DBCONFIG": "/nowhere.toml"})
    assert settings.source == tmp_path / "mine.toml"


def test_dbconfig_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(ONE_NODE)
    assert load(environ={"DBCONFIG": str(tmp_path / "mine.toml")}).source == tmp_path / "mine.toml"


@pytest.mark.parametrize("environ", [{}, {"DBCONFIG": ""}])
def test_config_toml_is_read_where_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(ONE_NODE)
    assert load(environ=environ).source == tmp_path / "config.toml"


def test_process_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text(ONE_NODE)
    monkeypatch.setenv("DBCONFIG", str(tmp_path / "mine.toml"))
    assert load().nodes == (Node("a", "mysql://root@db1/test"),)


def test_missing_file_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^config\.toml: there is no such file; name another with its path or in \$DBCONFIG$"):
        load(environ={})


def test_missing_file_says_that_dbconfig_named_it() -> None:
    with pytest.raises(ConfigError, match=r"^/nowhere\.toml \(named by \$DBCONFIG\): there is no such file$"):
        load(environ={"DBCONFIG": "/nowhere.toml"})


def test_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"^{tmp_path}: cannot be read: Is a directory$"):
        load(tmp_path)


def test_invalid_toml_names_line_and_column(problems: Callable[..., list[str]]) -> None:
    assert problems("[cluster]\nname = oops\n") == ["is not valid TOML: Invalid value (at line 2, column 8)"]


def test_invalid_toml_at_the_end_names_the_line(problems: Callable[..., list[str]]) -> None:
    (line,) = problems('[cluster]\nname = "oops')
    assert line.endswith("(at end of document), line 2")


def test_file_that_is_not_utf8_is_an_error_without_its_content(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"# \xff")
    with pytest.raises(ConfigError, match=r"is not UTF-8 \(at byte 2\)$"):
        load(path)


def test_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(ONE_NODE, encoding="utf-8-sig")
    assert load(path).nodes


def test_settings_show_no_secret(read: Callable[..., Settings]) -> None:
    settings = read(
        f"""
        [connect_options]
        server_public_key = "{SECRET}"
        [[nodes]]
        name = "a"
        dsn = "mysql://root:{SECRET}@db1/test"
        [nodes.connect_options]
        init_command = "{SECRET}"
        """
    )
    assert SECRET not in repr(settings)
    assert "connect_options" in repr(settings)


def test_the_repositorys_own_file_names_three_nodes() -> None:
    settings = load(Path(__file__).parents[2] / "config.toml", environ={})
    assert settings.options["driver"] == "aiomysql"
    assert settings.nodes == tuple(Node(f"maria{n}", f"mysql://root@127.0.0.1:330{n}/test") for n in (1, 2, 3))


def test_options_are_the_keywords_of_cluster(read: Callable[..., Settings]) -> None:
    settings = read(
        """
        [cluster]
        name = "shop"
        driver = "aiomysql"
        target = "any"
        stagger = 0
        connect_timeout = 3
        close_timeout = 1.5
        [connect_options]
        charset = "utf8mb4"
        """
        + ONE_NODE
    )
    assert dict(settings.options) == {
        "name": "shop",
        "driver": "aiomysql",
        "target": "any",
        "stagger": 0,
        "connect_timeout": 3.0,
        "close_timeout": 1.5,
        "connect_options": {"charset": "utf8mb4"},
    }


def test_keys_left_out_are_left_to_cluster(read: Callable[..., Settings]) -> None:
    assert dict(read(ONE_NODE).options) == {}


@pytest.mark.parametrize("value", ["inf", "+inf", '"inf"'])
def test_connect_timeout_may_be_infinite(read: Callable[..., Settings], value: str) -> None:
    assert read(f"[cluster]\nconnect_timeout = {value}\n{ONE_NODE}").options["connect_timeout"] == math.inf


@pytest.mark.parametrize("value", ["0", "-1", "nan", "-inf"])
def test_connect_timeout_is_above_zero(problems: Callable[..., list[str]], value: str) -> None:
    said = "cluster.connect_timeout: must be a number of seconds above 0, or inf"
    assert problems(f"[cluster]\nconnect_timeout = {value}\n{ONE_NODE}") == [said]


@pytest.mark.parametrize("value", ["-1", "nan", "-inf"])
def test_close_timeout_is_not_negative(problems: Callable[..., list[str]], value: str) -> None:
    said = "cluster.close_timeout: must be a number of seconds, 0 or more, or inf"
    assert problems(f"[cluster]\nclose_timeout = {value}\n{ONE_NODE}") == [said]


def test_close_timeout_may_be_zero(read: Callable[..., Settings]) -> None:
    assert read(f"[cluster]\nclose_timeout = 0\n{ONE_NODE}").options["close_timeout"] == 0


@pytest.mark.parametrize(("value", "kind"), [("true", "a boolean"), ('"5"', "a string"), ("[5]", "an array"), ("{}", "a table")])
def test_timeouts_are_numbers_and_nothing_else(problems: Callable[..., list[str]], value: str, kind: str) -> None:
    assert problems(f"[cluster]\nconnect_timeout = {value}\n{ONE_NODE}") == [
        f"cluster.connect_timeout: must be a number of seconds above 0, or inf, not {kind}"
    ]


@pytest.mark.parametrize("value", ["1", "0.25", "-1", "nan"])
def test_stagger_is_auto_or_zero(problems: Callable[..., list[str]], value: str) -> None:
    assert problems(f"[cluster]\nstagger = {value}\n{ONE_NODE}") == [
        'cluster.stagger: must be either "auto", or 0 for every node at once'
    ]


@pytest.mark.parametrize("value", ["false", '"Auto"', "[]"])
def test_stagger_of_another_type_is_refused(problems: Callable[..., list[str]], value: str) -> None:
    (line,) = problems(f"[cluster]\nstagger = {value}\n{ONE_NODE}")
    assert line.startswith('cluster.stagger: must be either "auto", or 0 for every node at once, not a')


def test_target_is_one_of_libpqs_words(problems: Callable[..., list[str]]) -> None:
    assert problems(f'[cluster]\ntarget = "slave"\n{ONE_NODE}') == [
        "cluster.target: must be one of any, read-write, primary, prefer-standby, standby, read-only"
    ]


def test_settings_are_frozen(read: Callable[..., Settings]) -> None:
    settings: Any = read(ONE_NODE)
    with pytest.raises(AttributeError):
        settings.nodes = ()
    with pytest.raises(TypeError):
        settings.options["name"] = "x"
