"""From the login to the farewell: validation, probes, ends, and what a cancel leaves."""

from __future__ import annotations

import asyncio
import contextlib
import pickle

import pytest

from aioclustersql.errors import NodeNotFit
from aioclustersql.failure import FailureKind
from aioclustersql.node import Role, Target

from .base import Promises
from .stand import Stand
from .tools import GONE, SOON, finished, login, opened

__all__ = ["LoginPromises"]


class LoginPromises(Promises):
    """From the login to the farewell: validation, probes, ends, and what a cancel leaves."""

    def test_connections_are_native_and_closed_once_or_twice(self, stand: Stand) -> None:
        async def test() -> None:
            conn = await login(stand)
            assert isinstance(conn, stand.native)
            assert not stand.driver.is_closed(conn)
            assert stand.driver.unwrap(conn) is conn
            await stand.driver.close(conn)
            assert stand.driver.is_closed(conn)
            await stand.driver.close(conn)
            stand.driver.terminate(conn)

        self.run(test)

    def test_a_fresh_connection_is_validated_for_every_target(self, stand: Stand) -> None:
        async def test() -> None:
            async with opened(stand) as conn:
                for target in Target:
                    if target is Target.STANDBY:
                        with contextlib.suppress(NodeNotFit):
                            assert await stand.driver.validate(conn, target) is not Role.STANDBY
                    else:
                        role = await stand.driver.validate(conn, target)
                        assert role in ({Role.PRIMARY, Role.PEER, Role.UNKNOWN})
                    assert not stand.driver.in_transaction(conn)
                assert await stand.driver.validate(conn, Target.READ_WRITE) is not Role.UNKNOWN

        self.run(test)

    def test_a_node_that_serves_answers_a_ping_and_a_probe(self, stand: Stand) -> None:
        async def test() -> None:
            async with opened(stand) as conn:
                await stand.driver.ping(conn)
                for causal in (False, True):
                    seen = await stand.driver.probe(conn, causal=causal)
                    assert seen.ready
                    assert seen.role in (Role.PRIMARY, Role.PEER)
                    assert seen.lag == 0.0
                assert not stand.driver.in_transaction(conn)
                heard = stand.driver.last_received(conn)
                assert heard is None or 0 <= heard < SOON

        self.run(test)

    def test_a_terminated_connection_is_closed_at_once_and_says_so(self, stand: Stand) -> None:
        async def test() -> None:
            conn = await login(stand)
            stand.driver.terminate(conn)
            assert stand.driver.is_closed(conn)
            stand.driver.terminate(conn)
            await stand.driver.close(conn)
            with pytest.raises(Exception) as caught:
                await stand.driver.ping(conn)
            assert stand.driver.classify(caught.value) in GONE

        self.run(test)

    def test_who_waits_for_an_answer_learns_that_the_connection_was_terminated(self, stand: Stand) -> None:
        async def test() -> None:
            conn = await login(stand)
            waiting = asyncio.create_task(finished(stand.rows(conn, stand.slow)))
            await asyncio.sleep(0.1)
            stand.driver.terminate(conn)
            async with asyncio.timeout(SOON):
                with pytest.raises(Exception) as caught:
                    await waiting
            assert stand.driver.classify(caught.value) in GONE
            assert stand.driver.is_closed(conn)
            await stand.driver.close(conn)

        self.run(test)

    def test_a_login_that_is_cancelled_at_any_step_leaves_nothing(self, stand: Stand) -> None:
        async def test() -> None:
            finished = steps = 0
            while finished < 3:
                task = asyncio.create_task(login(stand, validated=False))
                for step in range(steps):
                    await asyncio.sleep(0.0002 * (step % 3))
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    conn = await task  # quicker than its cancel, or the driver has swallowed it: it is ours
                    await stand.driver.close(conn)
                    finished += 1
                steps += 1
                assert steps < 1000

        self.run(test)

    def test_logins_that_are_refused_say_why(self, stand: Stand) -> None:
        async def test() -> None:
            for dsn, kind in stand.refused.items():
                with pytest.raises(Exception) as caught:
                    await login(stand, dsn)
                assert stand.driver.classify(caught.value) is kind, dsn

        self.run(test)

    def test_what_is_none_of_the_drivers_errors_is_other(self, stand: Stand) -> None:
        for stranger in (ZeroDivisionError(), pickle.PickleError("x"), KeyError("connection")):
            assert stand.driver.classify(stranger) is FailureKind.OTHER
