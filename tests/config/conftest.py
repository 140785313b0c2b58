"""What a text becomes as config.toml: settings, nodes, URLs, or what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aioclustersql.config import Settings, load
from aioclustersql.dsn import Url, parse_url
from aioclustersql.errors import ConfigError
from aioclustersql.node import Node


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Settings]:
    """Load a text as config.toml, with an environment of its own."""

    def read(text: str, **environ: str) -> Settings:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return load(path, environ=environ)

    return read


@pytest.fixture
def node(read: Callable[..., Settings]) -> Callable[..., Node]:
    """The only node of a text."""

    def node(text: str, **environ: str) -> Node:
        (only,) = read(text, **environ).nodes
        return only

    return node


@pytest.fixture
def url(node: Callable[..., Node]) -> Callable[..., Url]:
    """The URL of the only node of a text, taken apart again."""
    return lambda text, **environ: parse_url(node(text, **environ).dsn)


@pytest.fixture
def problems(read: Callable[..., Settings], tmp_path: Path) -> Callable[..., list[str]]:
    """What is said of a text, one line for each error, without the file's name."""

    def problems(text: str, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            read(text, **environ)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / 'config.toml'}: ")
        assert caught.value.__cause__ is None or isinstance(caught.value.__cause__, OSError)
        first, *lines = message.removeprefix(f"{tmp_path / 'config.toml'}: ").splitlines()
        if lines:
            assert first == f"{len(lines)} errors"
            return [line.removeprefix("  ") for line in lines]
        return [first]

    return problems
