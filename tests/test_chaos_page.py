"""The page of the chaos stand, and the README's table: made from the summary beside the page, and from nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from chaos.headline import README, into
from chaos.page import FOLDER, PAGE, SUMMARY, render


def data(ours: float, theirs: float, *, never: bool = False) -> dict[str, Any]:
    """A summary of one scene with one client of ours and one other, whose reads waited for so long."""
    fine = {"longest": 0.01, "open": False, "gap": 0.01, "total": 0.0}
    counts = dict.fromkeys(("unknown", "lost", "lost_by_database", "misplaced", "aborted", "left"), 0)
    row: dict[str, Any] = {**counts, "errors": {}, "closing": False, "stall": 1.0, "read_stall": 0.0, "noticed": None}
    clients = {
        "aioclustersql run": {**row, "writes": fine, "reads": {**fine, "longest": ours}},
        "another": {**row, "writes": fine, "reads": {**fine, "longest": theirs, "open": never}},
    }
    about = {"python": "3.13.0", "cores": 2, "packages": {"asyncpg": "1.0"}, "cables": True}
    return {"about": about, "engines": {"postgres": {"primary reset": {"what": "Reset pg1", "clients": clients}}}}


def cell(page: str, client: str, column: int) -> str:
    """What stands in a client's row."""
    (line,) = re.findall(rf"^\| {client} \|.*$", page, re.MULTILINE)
    return str(line.split("|")[column].strip())


def test_the_committed_page_is_made_from_the_committed_summary() -> None:
    assert PAGE.read_text() == render(json.loads(SUMMARY.read_text())), "run: python -m chaos.page"


def test_every_picture_of_the_page_is_there() -> None:
    pictures = re.findall(r"!\[.*\]\((.*)\)", PAGE.read_text())
    assert pictures
    assert [name for name in pictures if not (FOLDER / name).exists()] == []


def test_a_figure_of_ours_that_is_worse_than_anothers_is_marked() -> None:
    page = render(data(0.50, 0.10))
    assert (cell(page, "aioclustersql run", 2), cell(page, "another", 2)) == ("0.50 *", "0.10")


def test_a_figure_that_is_worse_by_less_than_the_loads_pause_is_marked_as_such() -> None:
    assert cell(render(data(0.20, 0.10)), "aioclustersql run", 2) == "0.20 ~"
    assert cell(render(data(0.101, 0.10)), "aioclustersql run", 2) == "0.10"


@pytest.mark.parametrize(("kind", "stall", "column"), [("reads", "read_stall", 2), ("writes", "stall", 3)])
def test_what_the_cluster_itself_stalls_is_taken_off_before_waits_are_compared(kind: str, stall: str, column: int) -> None:
    told = data(0.01, 0.01)
    (scenes,) = told["engines"].values()
    (ours, theirs) = scenes["primary reset"]["clients"].values()
    ours[kind], theirs[kind] = {**ours[kind], "longest": 1.25}, {**theirs[kind], "longest": 1.0}
    ours[stall], theirs[stall] = 1.25, 1.0
    page = render({**told, "engines": {"galera": scenes}})
    assert cell(page, "aioclustersql run", column) == "1.25"
    assert ("1.25 s for reads" in page, "1.25 s for writes" in page) == (kind == "reads", kind == "writes")
    assert cell(render(told), "aioclustersql run", column) == "1.25 *"


def with_clients(**waits: float) -> str:
    """The page of one scene with these clients, whose reads waited for so long."""
    told = data(0.0, 0.0)
    (scene,) = told["engines"]["postgres"].values()
    row = scene["clients"]["another"]
    scene["clients"] = {name: {**row, "reads": {**row["reads"], "longest": wait}} for name, wait in waits.items()}
    return render(told)


def test_who_logs_in_for_each_unit_is_compared_with_its_like() -> None:
    ours, fresh, pooled = "aioclustersql connect", "asyncpg connect, multi-host", "asyncpg pool, multi-host"
    assert cell(with_clients(**{ours: 0.5, fresh: 0.6, pooled: 0.1}), ours, 2) == "0.50"
    assert cell(with_clients(**{ours: 0.5, fresh: 0.1, pooled: 0.6}), ours, 2) == "0.50 *"
    assert cell(with_clients(**{"aioclustersql run": 0.5, fresh: 0.1, pooled: 0.6}), "aioclustersql run", 2) == "0.50 *"


def test_where_ours_is_there_with_time_outs_too_only_that_is_compared_with_who_has_them() -> None:
    ours, tuned = "aioclustersql run", "aioclustersql acquire, tuned"
    page = with_clients(**{ours: 3.0, tuned: 1.2, "asyncpg pool, multi-host": 3.0, "asyncpg pool, multi-host, tuned": 1.0})
    assert (cell(page, ours, 2), cell(page, tuned, 2)) == ("3.00", "1.20 *")
    page = with_clients(**{ours: 3.0, "asyncpg pool, multi-host": 3.0, "asyncpg pool, multi-host, tuned": 1.0})
    assert cell(page, ours, 2) == "3.00 *"


def test_what_was_never_over_is_worse_than_any_figure() -> None:
    page = render(data(0.50, 0.10, never=True))
    assert (cell(page, "aioclustersql run", 2), cell(page, "another", 2)) == ("0.50", "> 0.10")


def test_the_readmes_table_is_made_from_the_committed_summary() -> None:
    readme = README.read_text()
    assert readme == into(readme, json.loads(SUMMARY.read_text())), "run: python -m chaos.page"


def test_the_readmes_table_shows_run_beside_the_others() -> None:
    (told,) = data(0.50, 0.10, never=True)["engines"]["postgres"].values()
    told["clients"]["aioclustersql connect"] = told["clients"]["another"]
    table = into("<!-- chaos -->\n<!-- end -->", {"engines": {"galera": {"frozen": told}}})
    assert [line.split("|")[2:4] for line in table.splitlines()[3:-1]] == [
        [" aioclustersql run ", " 0.50 "],
        [" another ", " > 0.10 "],
    ]


def test_a_readme_without_a_place_for_the_table_is_noticed() -> None:
    with pytest.raises(ValueError, match="no part <!-- chaos -->"):
        into("nothing", {"engines": {}})
