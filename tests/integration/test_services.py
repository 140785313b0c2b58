"""What every web service of examples/ promises, seen by a client over HTTP while the database loses nodes; all in one scene."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
import pytest

from aioclustersql.demo.postgres import PostgresCluster
from tests.integration.services import APPS, EXAMPLES, Service, nodes_of, play, serve_all

pytestmark = pytest.mark.integration

CLIENTS = 200
_TABLE = """
create table visits (name text);
create function lose() returns trigger language plpgsql as
    $$ begin if new.name = 'lost' then perform pg_terminate_backend(pg_backend_pid()); end if; return null; end $$;
create constraint trigger at_commit after insert on visits initially deferred for each row execute function lose();
"""
"""COMMIT ends the connection of who writes `lost`, before it answers."""
_NO_TABLE = "drop table if exists visits; drop function if exists lose();"
_WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like 'INSERT INTO visits%'"


@dataclass
class Told:
    """What one service answered, act by act."""

    read: httpx.Response
    written: list[httpx.Response]
    lost: list[httpx.Response]
    ready: httpx.Response
    under_fire: list[httpx.Response] = field(default_factory=list)
    promoted: list[httpx.Response] = field(default_factory=list)
    sure: int = 0
    """So many of these were answered before the standby was promoted; the old primary may have kept some for itself."""
    without: list[httpx.Response] = field(default_factory=list)
    unready: httpx.Response | None = None
    again: httpx.Response | None = None
    at_the_end: list[httpx.Response] = field(default_factory=list)


@dataclass
class Scene:
    told: dict[str, Told]
    standbys: set[str]
    nodes: set[str]
    seen_when_answered: dict[str, list[str]]
    """By service, how many of its visits the primary had when each write was answered."""
    kept: Counter[str]
    """What the promoted standby has, by name."""


@pytest.fixture(scope="module")
def scene(postgres_cluster: PostgresCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The scene, played once for all services at the same time."""
    postgres_cluster.primary.sql(_TABLE)
    postgres_cluster.wait_replayed()
    yield play(lambda: act(postgres_cluster, tmp_path_factory.mktemp("services")))
    postgres_cluster.heal()
    postgres_cluster.primary.sql(_NO_TABLE)


async def act(servers: PostgresCluster, folder: Path) -> Scene:
    """A calm minute; a standby killed and the other frozen; the primary frozen and a standby promoted; nobody; the end."""
    addresses = {node.name: f"127.0.0.1:{node.port}" for node in servers.nodes}
    standbys = {addresses[node.name] for node in servers.standbys}
    async with serve_all(nodes_of(servers), folder) as services:
        told, seen = {}, {}
        for service in services:
            told[service.app], seen[service.app] = await calm(servers, service)

        first, second = servers.standbys
        firing = [asyncio.create_task(fire(service, told[service.app].under_fire)) for service in services]
        await until_answered([told[service.app].under_fire for service in services], CLIENTS // 8)
        await asyncio.gather(asyncio.to_thread(first.kill9), asyncio.to_thread(second.freeze))
        await asyncio.gather(*firing)

        await asyncio.to_thread(servers.heal)
        primary, standby = servers.primary, servers.standbys[0]
        writing = [asyncio.create_task(write(service, told[service.app].promoted)) for service in services]
        await until_answered([told[service.app].promoted for service in services], 5)
        await asyncio.to_thread(primary.freeze)
        await asyncio.to_thread(standby.promote)
        for each in told.values():
            each.sure = len(each.promoted)
        await asyncio.gather(*writing)
        names = await asyncio.to_thread(standby.sql, "select name from visits")

        for node in servers.nodes:
            await asyncio.to_thread(node.kill9)
        await asyncio.gather(*(nobody(service, told[service.app]) for service in services))
        await asyncio.to_thread(servers.heal)
        await asyncio.to_thread(servers.primary.sql, _NO_TABLE + _TABLE)  # after a promotion it is made anew
        for service in services:
            told[service.app].again = await answered(service)

        for app, answers in (await shut(services, servers)).items():
            told[app].at_the_end = answers
    return Scene(told, standbys, set(addresses.values()), seen, Counter(name for (name,) in names))


async def calm(servers: PostgresCluster, service: Service) -> tuple[Told, list[str]]:
    client, name, seen, written = service.client, f"calm {service.app}", [], []
    counting = f"select count(*) from visits where name = '{name}'"
    for _ in range(2):
        written.append(await client.post("/", params={"name": name}))
        seen.append(await asyncio.to_thread(servers.primary.value, counting))
    lost = [await client.post("/", params={"name": "lost"})]
    if service.app == "fastapi_app":
        lost.append(await client.put("/", params={"name": "lost"}))
        written.append(await client.put("/", params={"name": name}))
        seen.append(await asyncio.to_thread(servers.primary.value, counting))
    return Told(await client.get("/", params={"name": "you"}), written, lost, await client.get("/readyz")), seen


async def fire(service: Service, told: list[httpx.Response]) -> None:
    """So many requests at once; every fourth is a write."""

    async def ask(client: int) -> None:
        method = "POST" if client % 4 == 0 else "GET"
        told.append(await service.client.request(method, "/", params={"name": f"{service.app} {client}"}))

    async with asyncio.TaskGroup() as group:
        for client in range(CLIENTS):
            group.create_task(ask(client))


async def write(service: Service, told: list[httpx.Response]) -> None:
    for number in range(30):
        told.append(await service.client.post("/", params={"name": f"{service.app} after {number}"}))
        await asyncio.sleep(0.01)


async def until_answered(lists: Sequence[list[httpx.Response]], times: int) -> None:
    async with asyncio.timeout(30):
        while min(map(len, lists)) < times:
            await asyncio.sleep(0.005)


async def nobody(service: Service, told: Told) -> None:
    told.without = list(await asyncio.gather(service.client.get("/"), service.client.post("/")))
    told.unready = await service.client.get("/readyz")


async def answered(service: Service) -> httpx.Response:
    async with asyncio.timeout(15):
        while not (await service.client.get("/readyz")).is_success:
            await asyncio.sleep(0.02)
    return await service.client.post("/", params={"name": "again"})


async def shut(services: Sequence[Service], servers: PostgresCluster) -> dict[str, list[httpx.Response]]:
    """Each is told to end while requests wait there for a lock, and has heard of it when they get it."""
    conn = await asyncpg.connect(servers.primary.dsn())
    async with asyncio.TaskGroup() as group:
        async with conn.transaction():
            await conn.execute("lock table visits in access exclusive mode")
            asked = {
                service.app: [group.create_task(service.client.post("/", params={"name": "end"})) for _ in range(3)]
                for service in services
            }
            async with asyncio.timeout(20):
                while await asyncio.to_thread(servers.primary.value, _WAITING) != str(3 * len(services)):
                    await asyncio.sleep(0.02)
            for service in services:
                service.terminate()
            await asyncio.gather(*(refusing(service) for service in services))
        await conn.close()
    return {app: [task.result() for task in tasks] for app, tasks in asked.items()}


async def refusing(service: Service) -> None:
    """Until it has heard of its end: it lets nobody in any more."""
    async with asyncio.timeout(10):
        while True:
            try:
                async with httpx.AsyncClient(base_url=service.client.base_url, trust_env=False) as client:
                    await client.get("/readyz")
            except httpx.TransportError:
                return
            await asyncio.sleep(0.02)


# --- what was seen --------------------------------------------------------------------------------------------------------

each_app = pytest.mark.parametrize("app", APPS)


def is_unknown(answer: httpx.Response) -> bool:
    """The one failure that is documented: nobody knows, so nobody is asked to try again."""
    told = (answer.status_code, answer.json(), "Retry-After" in answer.headers)
    return told == (503, {"error": "nobody knows whether this was saved: look before you try again"}, False)


def failures(answers: Sequence[httpx.Response]) -> Counter[str]:
    return Counter(f"{each.status_code} {each.text}" for each in answers if not each.is_success and not is_unknown(each))


@pytest.mark.parametrize("path", [EXAMPLES / f"{app}.py" for app in APPS], ids=APPS)
def test_a_service_is_a_short_file(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 80


@each_app
def test_reads_are_answered_by_a_standby(scene: Scene, app: str) -> None:
    read = scene.told[app].read
    assert (read.status_code, read.json()["greeting"]) == (200, "Hello, you")
    assert read.json()["node"] in scene.standbys


@each_app
def test_a_write_is_committed_when_it_is_answered(scene: Scene, app: str) -> None:
    written = scene.told[app].written
    assert [(each.status_code, each.json()) for each in written] == [(201, {"visits": n}) for n in range(1, len(written) + 1)]
    assert scene.seen_when_answered[app] == [str(number) for number in range(1, len(written) + 1)]


@each_app
def test_a_commit_without_an_answer_is_a_503_that_asks_for_no_other_try(scene: Scene, app: str) -> None:
    lost = scene.told[app].lost
    assert len(lost) == (2 if app == "fastapi_app" else 1)
    assert [each.text for each in lost if not is_unknown(each)] == []


@each_app
def test_no_request_of_200_clients_fails_while_a_node_is_killed_and_another_frozen(scene: Scene, app: str) -> None:
    answers = scene.told[app].under_fire
    assert len(answers) == CLIENTS
    assert failures(answers) == Counter()


@each_app
def test_every_write_of_a_promotion_is_kept_once_or_unknown(scene: Scene, app: str) -> None:
    promoted = scene.told[app].promoted
    assert failures(promoted) == Counter()
    for number, answer in enumerate(promoted):
        kept = scene.kept[f"{app} after {number}"]
        assert kept in ({1} if answer.is_success and number >= scene.told[app].sure else {0, 1})


@each_app
def test_a_service_says_when_no_node_answers_and_recovers_by_itself(scene: Scene, app: str) -> None:
    told = scene.told[app]
    assert [(each.status_code, each.headers["Retry-After"]) for each in told.without] == [(503, "1")] * 2
    assert [each.json() for each in told.without] == [{"error": "no database node answers"}] * 2
    assert told.unready is not None
    assert told.again is not None
    assert (told.ready.status_code, told.ready.json()) == (200, dict.fromkeys(scene.nodes, "up"))
    assert told.unready.status_code == 503
    assert told.again.status_code == 201


@each_app
def test_a_service_that_is_told_to_end_finishes_what_it_has_begun(scene: Scene, app: str) -> None:
    assert [each.status_code for each in scene.told[app].at_the_end] == [201] * 3
