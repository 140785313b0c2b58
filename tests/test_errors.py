"""The hierarchy of errors, what they carry, and that they survive pickling."""

from __future__ import annotations

import copy
import pickle
from inspect import isclass

import pytest

from aioclustersql import errors
from aioclustersql.errors import (
    AcquireTimeout,
    AllNodesFailed,
    ClusterError,
    ClusterTimeout,
    ConfigError,
    ConnectTimeout,
    LoginAbandoned,
    NodeNotFit,
    NoNodeAvailable,
    NotLeased,
    NotOpen,
    ReadyTimeout,
    TooManyWaiters,
    TransactionOutcomeUnknown,
    UnknownNode,
    WrongLoop,
)

PLAIN = [
    ClusterError,
    ConfigError,
    UnknownNode,
    NotOpen,
    WrongLoop,
    NodeNotFit,
    LoginAbandoned,
    NoNodeAvailable,
    NotLeased,
    TooManyWaiters,
    ClusterTimeout,
    ReadyTimeout,
]
Failing = type[AllNodesFailed] | type[ConnectTimeout] | type[AcquireTimeout]
WITH_ERRORS: list[Failing] = [AllNodesFailed, ConnectTimeout, AcquireTimeout]
TIMEOUTS = [ConnectTimeout, AcquireTimeout, ReadyTimeout]


def test_every_error_is_a_cluster_error():
    exported = [getattr(errors, name) for name in errors.__all__]
    assert all(isclass(each) and issubclass(each, ClusterError) for each in exported)
    assert set(exported) == {*PLAIN, *WITH_ERRORS, TransactionOutcomeUnknown}


def test_every_error_stands_in_the_tree_of_the_docstring():
    assert errors.__doc__ is not None
    assert [name for name in errors.__all__ if name not in errors.__doc__] == []


@pytest.mark.parametrize(
    ("error", "builtin"),
    [(UnknownNode, LookupError), (ClusterTimeout, TimeoutError), *((each, TimeoutError) for each in TIMEOUTS)],
)
def test_errors_are_caught_by_the_builtins_they_are(error: type[Exception], builtin: type[Exception]):
    assert issubclass(error, builtin)


@pytest.mark.parametrize("kind", TIMEOUTS)
def test_a_timeout_is_a_cluster_timeout_and_no_failure_of_all_nodes(kind: type[ClusterTimeout]):
    assert issubclass(kind, ClusterTimeout)
    assert not issubclass(kind, AllNodesFailed)


def test_an_unknown_outcome_is_no_timeout_so_that_nobody_runs_it_again_for_one():
    assert not issubclass(TransactionOutcomeUnknown, TimeoutError)


def test_an_unknown_outcome_has_the_standards_code_and_its_node():
    error = TransactionOutcomeUnknown("what happened", "a")
    assert (error.sqlstate, error.node) == ("08007", "a")


def test_an_unknown_outcome_survives_pickling():
    again = pickle.loads(pickle.dumps(TransactionOutcomeUnknown("what happened", "a")))
    assert (type(again), str(again), again.node) == (TransactionOutcomeUnknown, "what happened", "a")


@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_error_survives_pickling(kind: type[ClusterError]):
    again = pickle.loads(pickle.dumps(kind("what happened")))
    assert (type(again), str(again)) == (kind, "what happened")


@pytest.mark.parametrize("kind", WITH_ERRORS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_with_the_nodes_errors_survives_pickling(kind: Failing, protocol: int):
    again = pickle.loads(pickle.dumps(kind("what happened", {"a": ConnectionRefusedError(111, "refused")}), protocol))
    assert (type(again), str(again)) == (kind, "what happened")
    assert (type(again.errors["a"]), again.errors["a"].errno) == (ConnectionRefusedError, 111)


@pytest.mark.parametrize("kind", WITH_ERRORS)
def test_an_error_with_the_nodes_errors_can_be_copied(kind: Failing):
    error = kind("what happened", {"a": ValueError("x")})
    assert (str(copy.copy(error)), list(copy.copy(error).errors)) == ("what happened", ["a"])


@pytest.mark.parametrize("kind", WITH_ERRORS)
def test_the_nodes_errors_are_read_only_and_the_errors_own(kind: Failing):
    given: dict[str, BaseException] = {"a": ValueError("x")}
    error = kind("what happened", given)
    given.clear()
    assert list(error.errors) == ["a"]
    with pytest.raises(TypeError):
        error.errors["b"] = ValueError("y")  # type: ignore[index]


def test_a_timeout_has_no_errno():
    error = ConnectTimeout("what happened", {})
    assert (error.errno, error.strerror, str(error)) == (None, None, "what happened")
