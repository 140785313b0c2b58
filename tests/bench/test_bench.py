"""The benchmark's own arithmetic and texts: nothing is measured here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.figures import curve, percentile, ratio_interval
from bench.markdown import cell, document, table
from bench.page import page
from bench.publish import FIGURES, PAGE, load
from bench.result import Curve, Outcome, Report, Table, at_least, at_most, remarks
from bench.rows import ROWS

ROOT = Path(__file__).parents[2]
FACTS = {
    "date": "2026-01-01",
    "quick": True,
    "python": "CPython",
    "cores": 2,
    "packages": {"asyncpg": "1"},
    "behind": {"asyncpg": ["a"]},
}


def report() -> Report:
    outcome = Outcome(
        "pool",
        "What a lease costs",
        tables=[Table("Leases", ("pool", "µs"), [["ours", 2.0], ["theirs", 1500]], "Medians.")],
        targets=[at_most("time", 1.5, 1.0, " x raw")],
        remarks=["slower than it was."],
        curves=[Curve("panel", "ours", [[1, 2.5]])],
    )
    return Report(FACTS, [outcome, Outcome("tail", "The tail", failure="OSError: no")])


def test_a_percentile_is_a_sample_and_never_better_than_it_was():
    samples = [float(each) for each in range(1, 1001)]
    assert [percentile(samples, part) for part in (0.5, 0.99, 0.999, 1.0)] == [500.0, 990.0, 999.0, 1000.0]
    assert percentile([1.0, 9.0], 0.999) == 9.0
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 0.5)


def test_the_interval_of_a_ratio_holds_it_and_is_the_same_each_time():
    ours, theirs = [1.0, 1.1, 1.2, 1.3] * 5, [2.0, 2.2, 2.4, 2.6] * 5
    low, high = ratio_interval(ours, theirs)
    assert low <= 0.5 <= high
    assert (low, high) == ratio_interval(ours, theirs)


def test_a_curve_ends_with_the_slowest_and_counts_what_lies_above():
    points = curve([float(each) for each in range(1, 1001)])
    assert points[0] == (1.0, 1.0)
    assert points[-1] == (1000.0, 0.001)
    assert points == sorted(points)
    assert len(points) <= 121


def test_a_limit_that_is_reached_is_met():
    assert at_most("a", 1.05, 1.05).met
    assert not at_most("a", 1.06, 1.05).met
    assert at_least("a", 1.05, 1.05).met
    assert not at_least("a", 1.04, 1.05).met
    assert at_most("a", 30.26, 30.0, " ms").wanted == "≤ 30 ms"


def test_a_better_peer_is_told_of_with_its_reason():
    said = remarks("cost", 3.0, {"fast": 1.0, "equal": 2.9, "slow": 9.0, "odd": 1.5}, {"fast": "it does less"})
    assert said == [
        "cost: 3.00 times worse than fast, because it does less.",
        "cost: 2.00 times worse than odd, because the reason is not known.",
    ]
    assert remarks("throughput", 3.0, {"more": 6.0, "less": 1.0}, {}, more=True) == [
        "throughput: 2.00 times worse than more, because the reason is not known."
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (0.12345, "0.123"), (12.34, "12.3"), (1234.5, "1,234"), (5000, "5,000"), (None, "")]
)
def test_a_figure_has_the_digits_that_count(value: float | None, text: str):
    assert cell(value) == text


def test_columns_of_figures_are_right_aligned():
    made = table(Table("", ("pool", "ms"), [["ours", 1.5], ["theirs", "> 1,000"]]))
    assert made.splitlines() == ["| pool | ms |", "| --- | ---: |", "| ours | 1.5 |", "| theirs | > 1,000 |"]


def test_a_report_survives_json():
    data = report().as_dict()
    assert Report.from_dict(json.loads(json.dumps(data))).as_dict() == json.loads(json.dumps(data))
    assert report().failed == ["tail"]


def test_the_document_has_every_table_target_remark_and_failure():
    text = document(report())
    for part in (
        "## What a lease costs",
        "| theirs | 1,500 |",
        "| NOT MET |",
        "- slower than it was.",
        "**This row failed:** OSError: no",
    ):
        assert part in text


def test_the_page_of_the_docs_is_what_its_figures_come_to():
    assert PAGE.read_text() == page(load(FIGURES)), "run: python -m bench.publish"


def test_every_row_is_on_the_page():
    assert [outcome.name for outcome in load(FIGURES).outcomes] == list(ROWS)


def test_the_rows_are_listed_without_a_server():
    done = subprocess.run([sys.executable, "-m", "bench", "--list"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(ROWS)


def test_an_unknown_row_is_refused_by_name():
    done = subprocess.run([sys.executable, "-m", "bench", "tial"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no row 'tial'" in done.stderr
