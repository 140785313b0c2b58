"""The documentation says what the code does: tables are compared with it, files and links must be there."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

import aioclustersql
from aioclustersql import Cluster, Target, errors, events
from aioclustersql.config import load
from aioclustersql.config.tables import ClusterSection, File, MonitorSection, NodeTable, PoolSection, Table
from scripts import docs_commands, docs_parts, metrics_parts, render_docs

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "CONTRIBUTING.md"
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", GUIDE, *sorted((ROOT / "docs").rglob("*.md")))
SETTINGS = (ROOT / "docs" / "reference" / "settings.md").read_text()
ERRORS = (ROOT / "docs" / "reference" / "errors.md").read_text()


def table(page: str, heading: str) -> dict[str, str]:
    """The first table under a heading: its first column, without backquotes -> its second one."""
    section = page.partition(f"\n{heading}\n")[2]
    section = re.split(r"^#{2,3} ", section, maxsplit=1, flags=re.MULTILINE)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
    assert rows, f"there is no table under {heading!r}"
    return {first.strip("`"): second for first, second, *_ in rows[2:]}


def defaults_of(model: type[Table]) -> dict[str, str]:
    fields = {name: field.get_default() for name, field in model.model_fields.items()}
    return {name: "required" if value is PydanticUndefined else f"`{value!r}`" for name, value in fields.items()}


@pytest.mark.parametrize("path", render_docs.PAGES, ids=lambda path: path.name)
def test_a_page_has_the_tables_and_numbers_of_the_code(path: Path) -> None:
    page = path.read_text()
    assert page == render_docs.render(page, render_docs.PAGES[path]), "run: python -m scripts.render_docs"


@pytest.mark.parametrize("path", render_docs.PICTURES, ids=lambda path: path.name)
def test_a_picture_is_what_the_code_draws(path: Path) -> None:
    assert path.read_text() == render_docs.PICTURES[path](), "run: python -m scripts.render_docs"


def test_every_part_made_from_the_code_stands_in_one_page() -> None:
    made = [part.__name__ for parts in render_docs.PAGES.values() for part in parts]
    assert sorted(made) == sorted([*docs_parts.__all__, *docs_commands.__all__, *metrics_parts.__all__])


def test_a_page_without_a_part_is_noticed() -> None:
    with pytest.raises(ValueError, match="no part <!-- targets -->"):
        render_docs.render("nothing", [docs_parts.targets])


def test_every_event_is_explained() -> None:
    page = (ROOT / "docs" / "reference" / "events.md").read_text()
    happenings = set(events.__all__) - {"Event", "Listener"}
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == happenings


def test_the_settings_are_the_keywords_of_cluster() -> None:
    parameters = list(inspect.signature(Cluster).parameters.values())
    assert table(SETTINGS, "## Cluster") == {each.name: f"`{each.default!r}`" for each in parameters}


def test_the_settings_are_the_keys_of_config_toml() -> None:
    assert table(SETTINGS, "### `[cluster]`") == defaults_of(ClusterSection)
    assert table(SETTINGS, "### `[pool]`") == defaults_of(PoolSection)
    assert table(SETTINGS, "### `[monitor]`") == defaults_of(MonitorSection)
    assert table(SETTINGS, "### `[defaults]` and `[[nodes]]`") == defaults_of(NodeTable)
    sections = " ".join(re.findall(r"^### (.*)$", SETTINGS, re.MULTILINE))
    assert set(re.findall(r"\[+(\w+)\]+", sections)) == set(File.model_fields)


def test_the_example_of_a_config_toml_is_a_valid_one(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", SETTINGS, re.DOTALL)
    path = tmp_path / "config.toml"
    path.write_text(text)
    settings = load(path, environ={"DB_PASSWORD": "secret"})
    assert [node.name for node in settings.nodes] == [node["name"] for node in tomllib.loads(text)["nodes"]]
    assert Cluster(settings.nodes, **settings.options).nodes == ("maria1", "maria2")


def test_every_error_is_explained() -> None:
    explained = re.findall(r"^\| `(\w+)` \|", ERRORS.partition("\n## ")[0], re.MULTILINE)
    assert sorted(explained) == sorted(errors.__all__)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "reference" / "settings.md"], ids=lambda page: page.name)
def test_every_target_is_named(page: Path) -> None:
    text = page.read_text()
    assert [target for target in Target if f"`{target}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    paths = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert [path for path in paths if path and not (page.parent / path).exists()] == []


@pytest.mark.parametrize(("page", "least"), [(ROOT / "README.md", {"demo", "test"}), (GUIDE, {"dist", "lock", "test-minimum"})])
def test_the_make_targets_of_a_page_exist(page: Path, least: set[str]) -> None:
    wanted = set(re.findall(r"\bmake ([a-z-]+)", page.read_text()))
    assert wanted >= least
    assert wanted <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_changelog_and_the_package_have_the_version_of_pyproject() -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()
    assert aioclustersql.__version__ == project["version"]
