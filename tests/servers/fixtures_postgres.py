"""A real PostgreSQL primary (pg1) with two hot standbys, started once per run and whole again after each test.

What a test writes stays, unless a node was promoted meanwhile: name tables after the test.
"""

from collections.abc import Iterator

import pytest

from aioclustersql.demo.postgres import PostgresCluster

__all__ = ["postgres", "postgres_cluster"]


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    """The servers of the whole run; tests take `postgres` instead."""
    with PostgresCluster() as cluster:
        yield cluster


@pytest.fixture
def postgres(postgres_cluster: PostgresCluster) -> Iterator[PostgresCluster]:
    """Three servers to freeze, kill and promote; `.primary` and `.standbys` are looked up live."""
    yield postgres_cluster
    postgres_cluster.heal()
