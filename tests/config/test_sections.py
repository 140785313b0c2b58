"""The sections of config.toml that hold keywords of `Cluster`: what each key may be, and that its default is the keyword's."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import pytest

from aioclustersql import Cluster
from aioclustersql.config import Settings
from aioclustersql.config.tables import File, Section
from tests.config.texts import ONE_NODE

EVERY_KEY = """
[cluster]
writers = 1
max_lag = 2
max_lag_bytes = 65536
run_timeout = 20
attempts = 3
debug = true
[pool]
min_size = 2
max_size = 20
max_total = 50
max_waiting = 100
max_lifetime = 1800
max_idle_time = 60
acquire_timeout = 1.5
reset = false
[monitor]
interval = 2
timeout = 0.25
interrupt = false
"""
ABOVE_ZERO = "must be a number of seconds above 0, or inf"
ZERO_OR_MORE = "must be a number of seconds, 0 or more, or inf"


def section(text: str) -> str:
    """`"pool.min_size = 1"` as a file."""
    name, _, line = text.partition(".")
    return f"[{name}]\n{line}\n{ONE_NODE}"


def test_every_key_becomes_the_keyword_of_its_name(read: Callable[..., Settings]) -> None:
    assert dict(read(EVERY_KEY + ONE_NODE).options) == {
        "writers": 1,
        "max_lag": 2.0,
        "max_lag_bytes": 65536.0,
        "run_timeout": 20.0,
        "attempts": 3,
        "debug": True,
        "min_size": 2,
        "max_size": 20,
        "max_total": 50,
        "max_waiting": 100,
        "max_lifetime": 1800.0,
        "max_idle_time": 60.0,
        "acquire_timeout": 1.5,
        "reset": False,
        "monitor_interval": 2.0,
        "monitor_timeout": 0.25,
        "monitor_interrupt": False,
    }


def test_cluster_takes_every_key(read: Callable[..., Settings]) -> None:
    settings = read(EVERY_KEY + ONE_NODE)
    assert Cluster(settings.nodes, **settings.options).nodes == ("a",)


def test_every_keyword_but_nodes_and_functions_has_a_key_and_the_same_default() -> None:
    parameters = inspect.signature(Cluster).parameters
    keys = {
        table.prefix + key: field.get_default()
        for table in (each.get_default() for each in File.model_fields.values())
        if isinstance(table, Section)
        for key, field in type(table).model_fields.items()
    }
    assert keys == {name: each.default for name, each in parameters.items() if name not in ("nodes", "connect_options", "init")}


def test_off_is_no_monitor(read: Callable[..., Settings]) -> None:
    assert read(section('monitor.interval = "off"')).options["monitor_interval"] is None


@pytest.mark.parametrize("line", ["pool.acquire_timeout = inf", "cluster.run_timeout = inf", "pool.max_lifetime = inf"])
def test_times_may_be_infinite(read: Callable[..., Settings], line: str) -> None:
    assert list(read(section(line)).options.values()) == [math.inf]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("cluster.writers = 0", "must be a whole number, 1 or more"),
        ("cluster.attempts = 2.5", "must be a whole number, 1 or more"),
        ("cluster.max_lag = -1", "must be a number, 0 or more, or inf"),
        ("cluster.max_lag_bytes = nan", "must be a number, 0 or more, or inf"),
        ("cluster.run_timeout = -1", ZERO_OR_MORE),
        ("cluster.debug = 1", "must be true or false, not an integer"),
        ("pool.min_size = -1", "must be a whole number, 0 or more"),
        ("pool.min_size = true", "must be a whole number, 0 or more, not a boolean"),
        ("pool.min_size = 11", "must not be above max_size, which is 10; both are per node"),
        ("pool.max_size = 0", "must be a whole number, 1 or more"),
        ("pool.max_total = 'many'", "must be a whole number, 1 or more, not a string"),
        ("pool.max_waiting = -1", "must be a whole number, 0 or more"),
        ("pool.max_lifetime = 0", ABOVE_ZERO),
        ("pool.max_idle_time = 0", ABOVE_ZERO),
        ("pool.acquire_timeout = -0.5", ZERO_OR_MORE),
        (
            "pool.reset = true",
            "must be false, or left out: connections are reset then; a function of your own goes to from_config(reset=...)",
        ),
        ("pool.reset = 'no'", "must be true or false, not a string"),
        ("monitor.interval = 0", 'must be a number of seconds above 0, or "off" for no monitor'),
        ("monitor.interval = false", 'must be a number of seconds above 0, or "off" for no monitor, not a boolean'),
        ("monitor.interval = 'never'", 'must be a number of seconds above 0, or "off" for no monitor, not a string'),
        ("monitor.timeout = 0", ABOVE_ZERO),
        ("monitor.interrupt = 'yes'", "must be true or false, not a string"),
    ],
)
def test_a_wrong_value_names_the_key_and_what_to_write(problems: Callable[..., list[str]], line: str, said: str) -> None:
    assert problems(section(line)) == [f"{line.partition(' ')[0]}: {said}"]


def test_variables_hold_numbers_switches_and_words(read: Callable[..., Settings]) -> None:
    text = """
    [cluster]
    debug = "${DEBUG}"
    [pool]
    max_size = "${SIZE}"
    [monitor]
    interval = "${LOOK:-off}"
    """
    options = read(text + ONE_NODE, DEBUG="true", SIZE="7").options
    assert dict(options) == {"debug": True, "max_size": 7, "monitor_interval": None}


def test_a_variable_that_holds_no_switch_is_named_by_its_key(problems: Callable[..., list[str]]) -> None:
    assert problems(section('cluster.debug = "${DEBUG}"'), DEBUG="maybe") == [
        "cluster.debug: must be true or false; its variable holds neither"
    ]


def test_sizes_from_variables_are_compared_too(problems: Callable[..., list[str]]) -> None:
    assert problems(section('pool.min_size = "${SIZE}"'), SIZE="11") == [
        "pool.min_size: must not be above max_size, which is 10; both are per node"
    ]
