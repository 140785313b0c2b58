"""Options of one connect, of a node and of the cluster; passwords that are asked for at each login; and `init`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aioclustersql import AllNodesFailed, ConfigError, ConnectTimeout
from aioclustersql.node import Health
from aioclustersql.testing import FakeConnection, FakeDriver, FakeServer

from .conftest import Racing
from .tools import cluster_over, learn, now


async def test_a_nodes_options_go_over_the_clusters_and_those_of_a_connect_over_both(racing: Racing):
    cluster, driver = racing(connect_options={"charset": "a", "application_name": "a"})
    driver.add("n")
    cluster.add_node("n", "fake://app@n/test", connect_options={"application_name": "b"})
    assert {"charset": "a", "application_name": "b"}.items() <= (await cluster.connect()).options.items()
    conn = await cluster.connect(application_name="c")
    assert {"charset": "a", "application_name": "c"}.items() <= conn.options.items()


async def test_flags_are_or_ed(racing: Racing):
    cluster, _ = racing(("a", 0, "ok"), connect_options={"flag": 1})
    assert (await cluster.connect(flag=4)).options["flag"] == 5


async def test_options_of_one_connect_do_not_stay(racing: Racing):
    cluster, _ = racing(("a", 0, "ok"))
    await cluster.connect(charset="latin1")
    assert "charset" not in (await cluster.connect()).options


@pytest.mark.parametrize("refused", ["dsn", "host", "port", "user"])
async def test_an_address_or_a_user_is_refused_by_name(racing: Racing, refused: str):
    cluster, driver = racing(("a", 0, "ok"))
    options: dict[str, Any] = {refused: "x"}
    with pytest.raises(ConfigError, match=f"'{refused}'"):
        await cluster.connect(**options)
    assert driver.starts == []


async def test_an_unknown_option_is_refused_with_the_nearest_name(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    with pytest.raises(ConfigError, match="unknown option 'chraset' for the fake driver; did you mean 'charset'"):
        await cluster.connect(chraset="utf8")
    assert driver.starts == []


async def test_a_pools_empty_first_argument_is_accepted(racing: Racing):
    cluster, _ = racing(("a", 0, "ok"))
    assert (await cluster.connect(None)).server.name == "a"


async def test_an_address_as_first_argument_is_refused(racing: Racing):
    cluster, _ = racing(("a", 0, "ok"))
    with pytest.raises(ConfigError, match=r"connect\(\) takes no address"):
        cluster.connect("fake://app@a/test")


async def test_a_wrong_option_of_a_node_names_the_node(racing: Racing):
    cluster, _ = racing()
    with pytest.raises(ConfigError, match=r"node 'a': .*did you mean 'charset'"):
        cluster.add_node("a", "fake://app@a/test", connect_options={"chraset": "x"})
    assert cluster.nodes == ()


def with_password(password: Any) -> tuple[Any, FakeDriver]:
    driver = FakeDriver(FakeServer("n", 0.25, password="right"))
    return cluster_over(driver, connect_options={"password": password}), driver


async def test_a_password_may_be_a_string():
    cluster, driver = with_password("right")
    driver.terminate(await cluster.connect())
    assert [server.last_password for server in driver] == ["right"]
    await cluster.close()


async def test_a_password_may_be_a_function_and_is_asked_for_before_each_login():
    passwords = iter(["right", "rotated"])
    cluster, driver = with_password(lambda: next(passwords))
    driver.terminate(await cluster.connect())
    driver["n"].password = "rotated"
    driver.terminate(await cluster.connect())
    assert driver["n"].last_password == "rotated"
    await cluster.close()


async def test_a_password_may_be_an_async_function():
    async def password() -> str:
        await asyncio.sleep(0.5)
        return "right"

    cluster, driver = with_password(password)
    driver.terminate(await cluster.connect())
    assert now() == 0.75
    await cluster.close()


async def test_the_time_that_a_password_takes_is_no_login_time():
    async def password() -> str:
        await asyncio.sleep(5)
        return "right"

    cluster, driver = with_password(password)
    driver.terminate(await cluster.connect())
    assert cluster.stats().nodes["n"].latency == 0.25
    await cluster.close()


async def test_a_password_function_that_fails_is_the_nodes_error_and_not_its_health():
    def password() -> str:
        raise LookupError("the vault is sealed")

    cluster, driver = with_password(password)
    for _ in range(5):
        with pytest.raises(AllNodesFailed, match=r"n: LookupError: the vault is sealed"):
            await cluster.connect()
    assert (cluster.stats().nodes["n"].health, driver.starts) == (Health.UP, [])
    await cluster.close()


async def test_a_password_function_that_hangs_ends_with_the_deadline_which_says_so():
    async def password() -> str:
        await asyncio.sleep(60)
        return "right"

    cluster, _ = with_password(password)
    with pytest.raises(ConnectTimeout, match="waiting for its password for 1 s"):
        await cluster.connect(timeout=1)
    await asyncio.sleep(5)
    assert cluster.stats().nodes["n"].health is Health.UP
    await cluster.close()


async def test_init_is_called_once_per_connection_after_validation(racing: Racing):
    calls: list[tuple[float, FakeConnection]] = []

    async def init(conn: FakeConnection) -> None:
        calls.append((now(), conn))

    cluster, driver = racing(("a", 0.25, "ok"), init=init)
    driver["a"].validate_delay = 0.5
    first, second = await cluster.connect(), await cluster.connect()
    assert calls == [(0.75, first), (1.5, second)]


async def test_init_is_not_called_on_a_node_that_is_not_fit(racing: Racing):
    calls: list[FakeConnection] = []

    async def init(conn: FakeConnection) -> None:
        calls.append(conn)

    cluster, _ = racing(("a", 0.25, "not-ready"), init=init)
    with pytest.raises(AllNodesFailed):
        await cluster.connect()
    assert calls == []


async def test_init_counts_into_the_deadline(racing: Racing):
    async def init(_: FakeConnection) -> None:
        await asyncio.sleep(60)

    cluster, driver = racing(("a", 0.25, "ok"), init=init)
    with pytest.raises(ConnectTimeout, match="in init for"):
        await cluster.connect(timeout=1)
    assert now() == 1
    await asyncio.sleep(2)
    driver.assert_nothing_open()
    assert cluster.stats().nodes["a"].health is Health.UP


async def test_a_failing_init_closes_the_connection_and_is_reported_as_what_it_is(racing: Racing):
    async def init(_: FakeConnection) -> None:
        raise LookupError("no such codec")

    cluster, driver = racing(("a", 0.25, "ok"), init=init)
    for _ in range(5):
        with pytest.raises(AllNodesFailed, match=r"a: LookupError: no such codec"):
            await cluster.connect()
    await asyncio.sleep(0)
    driver.assert_nothing_open()
    assert (driver["a"].goodbyes, cluster.stats().nodes["a"].health) == (5, Health.UP)


async def test_an_init_that_fails_on_one_node_leaves_the_others(racing: Racing):
    async def init(conn: FakeConnection) -> None:
        if conn.server.name == "a":
            raise LookupError("no such codec")

    cluster, driver = racing(("a", 0.005, "ok"), ("b", 0.005, "ok"), init=init)
    await learn(cluster, driver)
    conns = [await cluster.connect() for _ in range(10)]
    assert {conn.server.name for conn in conns} == {"b"}


def test_an_init_that_is_no_function_is_refused():
    with pytest.raises(ConfigError, match="init is an async function"):
        cluster_over(FakeDriver("a"), init="SET x")
