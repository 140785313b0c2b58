"""What only a server at the other end of a socket can do: not to be there, to fall silent, to end a session."""

from __future__ import annotations

import asyncio

import pytest

from aioclustersql.failure import FailureKind

from .base import Promises
from .line import Line
from .stand import Stand
from .tools import LOST, PLAIN, SOON, at, finished, login, opened, until

__all__ = ["NetworkPromises"]


class NetworkPromises(Promises):
    """What only a server at the other end of a socket can do: not to be there, to fall silent, to end a session."""

    def test_nobody_there_is_unreachable(self, stand: Stand) -> None:
        async def test() -> None:
            async with Line(stand.address) as line:
                port = line.port
            with pytest.raises(Exception) as caught:
                await login(stand, at(stand, port))
            assert stand.driver.classify(caught.value) is FailureKind.UNREACHABLE

        self.run(test)

    def test_a_login_on_a_silent_server_ends_when_it_is_cancelled(self, stand: Stand) -> None:
        async def test() -> None:
            async with Line(stand.address, silent=True) as line:
                task = asyncio.create_task(finished(login(stand, at(stand, line.port))))
                await until(lambda: line.open == 1)
                task.cancel()
                async with asyncio.timeout(SOON):
                    with pytest.raises(asyncio.CancelledError) as caught:
                        await task
                await until(lambda: line.open == 0)
                del caught  # whoever kept it did not keep the socket open

        self.run(test)

    def test_a_query_that_gets_no_answer_ends_when_it_is_cancelled(self, stand: Stand) -> None:
        async def test() -> None:
            async with Line(stand.address) as line:
                conn = await login(stand, at(stand, line.port))
                line.silent = True
                task = asyncio.create_task(stand.driver.ping(conn))
                await asyncio.sleep(0.05)
                task.cancel()
                async with asyncio.timeout(SOON):
                    with pytest.raises(asyncio.CancelledError):
                        await task
                stand.driver.terminate(conn)
                assert stand.driver.is_closed(conn)
                await until(lambda: line.open == 0)

        self.run(test)

    def test_a_terminated_connection_says_no_goodbye(self, stand: Stand) -> None:
        async def test() -> None:
            async with Line(stand.address) as line:
                conn = await login(stand, at(stand, line.port))
                line.silent = True
                stand.driver.terminate(conn)
                await until(lambda: line.open == 0)

        self.run(test)

    def test_a_session_that_the_server_ends_is_lost_and_known_to_be(self, stand: Stand) -> None:
        async def test() -> None:
            assert stand.kill is not None, "Stand.kill is needed"
            async with opened(stand) as conn:
                transaction = await stand.driver.begin(conn, PLAIN)
                await stand.kill(conn)
                with pytest.raises(Exception) as caught:
                    await stand.rows(conn, "SELECT 1")
                assert stand.driver.classify(caught.value) in LOST
                assert stand.driver.is_closed(conn)
                assert stand.driver.in_transaction(conn), "the unit was rolled back with it, and may run again"
                for use in (transaction.rollback, lambda: stand.driver.reset(conn, None)):
                    with pytest.raises(Exception) as late:
                        await use()
                    assert stand.driver.classify(late.value) in LOST

        self.run(test)

    def test_a_session_that_ends_while_it_waits_tells_its_waiter(self, stand: Stand) -> None:
        async def test() -> None:
            assert stand.kill is not None, "Stand.kill is needed"
            async with opened(stand) as conn:
                waiting = asyncio.create_task(finished(stand.rows(conn, stand.slow)))
                await asyncio.sleep(0.1)
                await stand.kill(conn)
                async with asyncio.timeout(SOON):
                    with pytest.raises(Exception) as caught:
                        await waiting
                assert stand.driver.classify(caught.value) is FailureKind.SESSION_LOST

        self.run(test)
