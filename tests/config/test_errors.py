"""What is said of a wrong file: every error at once, each with its key, and no secret."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.config.texts import ONE_NODE, SECRET, fields


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nodes: missing; write one [[nodes]] for each node"),
        ("nodes = []", "nodes: empty; write one [[nodes]] for each node"),
        ("Nodes = []", "Nodes: empty; write one [[Nodes]] for each node"),
        ("[nodes.a]\nhost = 'h'", "nodes: must be an array of tables: [[nodes]], not a table"),
        ("nodes = ['h']", "nodes[0]: must be a table, not a string"),
        ("cluster = 1\n" + ONE_NODE, "cluster: must be a table, not an integer"),
        ("connect_options = 1.5\n" + ONE_NODE, "connect_options: must be a table, not a float"),
        ("defaults = [1]\n" + ONE_NODE, "defaults: must be a table, not an array"),
        ("[[nodes]]\ndsn = 'mysql://h'", "nodes[0].name: missing"),
        ("[[nodes]]\nname = ''\ndsn = 'mysql://h'", "nodes[0].name: must not be empty"),
        ("[[nodes]]\nname = 1979-05-27\ndsn = 'mysql://h'", "nodes[0].name: must be a string, not a date or a time"),
        (ONE_NODE + ONE_NODE, "nodes[1].name (a): nodes[0] has this name already"),
        (fields(port="0"), "nodes[0].port (a): must be a whole number from 1 to 65535"),
        (fields(port="65536"), "nodes[0].port (a): must be a whole number from 1 to 65535"),
        (fields(port="1.0"), "nodes[0].port (a): must be a whole number from 1 to 65535"),
        (fields(port="true"), "nodes[0].port (a): must be a whole number from 1 to 65535, not a boolean"),
        (fields(port="'5432'"), "nodes[0].port (a): must be a whole number from 1 to 65535, not a string"),
        (fields(weight="0"), "nodes[0].weight (a): must be a finite number above 0"),
        (fields(weight="inf"), "nodes[0].weight (a): must be a finite number above 0"),
        (fields(weight="nan"), "nodes[0].weight (a): must be a finite number above 0"),
        (fields(unix_socket="'/x'"), "nodes[0].unix_socket (a): not together with host; keep one of them"),
        ("[cluster]\ndriver='asyncpg'\n[[nodes]]\nname='a'", "nodes[0] (a): needs a host, a unix_socket or a dsn"),
        (
            "[cluster]\ndriver='asyncpg'\n[[nodes]]\nname='a'\nunix_socket='run'",
            "nodes[0].unix_socket (a): must be an absolute path",
        ),
        (
            "[[nodes]]\nname='a'\nhost='h'\n[[nodes]]\nname='b'\nhost='h'",
            "cluster.driver: missing; nodes without a dsn need it (it is one of aiomysql, asyncmy, asyncpg, psycopg)",
        ),
        (
            "[cluster]\ndriver='mine'\n[[nodes]]\nname='a'\nhost='h'",
            (
                "defaults.scheme: missing; nodes without a dsn need it if cluster.driver is none of "
                "aiomysql, asyncmy, asyncpg, psycopg"
            ),
        ),
        (
            ONE_NODE + "host = 'h'",
            "nodes[0].host (a): not together with dsn; say it in the dsn, or in [defaults] for all that do not say it",
        ),
        ("[connect_options]\nuser = 'x'\n" + ONE_NODE, "connect_options.user: no connect option here; write it in [defaults]"),
        (
            fields() + "\nconnect_options = { host = 'x' }",
            "nodes[0].connect_options.host (a): no connect option here; write it beside connect_options",
        ),
        (
            ONE_NODE + "connect_options = { sslmode = 'x' }",
            "nodes[0].connect_options.sslmode (a): no connect option here; write it in the dsn",
        ),
    ],
)
def test_a_wrong_file_names_the_key_and_what_to_write(problems: Callable[..., list[str]], text: str, said: str) -> None:
    assert problems(text) == [said]


@pytest.mark.parametrize("host", ["db1:3306", "a,b", "root@h", "a/b", "a b", "h?x", "[h]:1"])
def test_a_host_is_a_host_alone(problems: Callable[..., list[str]], host: str) -> None:
    assert problems(fields(host=f"'{host}'")) == [
        "nodes[0].host (a): must be one host's name or address; a port is `port`, a socket's path is `unix_socket`"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[clutser]\n", "clutser: unknown key; did you mean 'cluster'?"),
        ("[node]\n", "node: unknown key; did you mean 'nodes'?"),
        ("stagger = 0\n", "stagger: unknown key; it belongs in [cluster]"),
        ("user = 'x'\n", "user: unknown key; it belongs in [defaults]"),
        ("[cluster]\nstager = 0\n", "cluster.stager: unknown key; did you mean 'stagger'?"),
        ("[cluster]\nConnectTimeout = 0\n", "cluster.ConnectTimeout: unknown key; did you mean 'connect_timeout'?"),
        ("[cluster]\nuser = 'x'\n", "cluster.user: unknown key; it belongs in [defaults]"),
        ("[defaults]\ndriver = 'x'\n", "defaults.driver: unknown key; it belongs in [cluster]"),
        ("[defaults]\npasword = 'x'\n", "defaults.pasword: unknown key; did you mean 'password'?"),
        ("[defaults]\ndbname = 'x'\n", "defaults.dbname: unknown key; did you mean 'database'?"),
        ("[defaults]\nhostname = 'x'\n", "defaults.hostname: unknown key; did you mean 'host'?"),
        ("[defaults]\nssl-mode = 'x'\n", "defaults.ssl-mode: unknown key; did you mean 'sslmode'?"),
        ("min_size = 2\n", "min_size: unknown key; it belongs in [pool]"),
        ("monitor_interval = 2\n", "monitor_interval: unknown key; it belongs in [monitor], as 'interval'"),
        ("[poll]\n", "poll: unknown key; did you mean 'pool'?"),
        ("[cluster]\nacquire_timeout = 1\n", "cluster.acquire_timeout: unknown key; it belongs in [pool]"),
        ("[cluster]\nmonitor_timeout = 1\n", "cluster.monitor_timeout: unknown key; it belongs in [monitor], as 'timeout'"),
        ("[cluster]\ntimeout = 1\n", "cluster.timeout: unknown key; did you mean 'run_timeout'?"),
        ("[pool]\nminsize = 1\n", "pool.minsize: unknown key; did you mean 'min_size'?"),
        ("[pool]\nattempts = 1\n", "pool.attempts: unknown key; it belongs in [cluster]"),
        ("[monitor]\nintervall = 1\n", "monitor.intervall: unknown key; did you mean 'interval'?"),
        ("[monitor]\nmonitor_interval = 1\n", "monitor.monitor_interval: unknown key; did you mean 'interval'?"),
        ('[cluster]\n"odd.key" = 1\n', None),
    ],
)
def test_an_unknown_key_gets_the_nearest_known_one(problems: Callable[..., list[str]], text: str, said: str | None) -> None:
    known = (
        "attempts, close_timeout, connect_timeout, debug, driver, max_lag, max_lag_bytes, name, run_timeout, stagger, target, "
        "writers"
    )
    assert problems(text + ONE_NODE) == [said or f'cluster."odd.key": unknown key; known are {known}']


def test_an_unknown_key_of_a_node_is_named_with_the_node(problems: Callable[..., list[str]]) -> None:
    assert problems(fields(url="'mysql://h'")) == ["nodes[0].url (a): unknown key; did you mean 'dsn'?"]


def test_all_errors_are_said_at_once_in_the_files_order(problems: Callable[..., list[str]]) -> None:
    lines = problems(
        f"""
        stagger = 0
        [[nodes]]
        name = "a"
        port = "5"
        host = "h:1"
        user = "${{UNSET}}"
        [[nodes]]
        name = "a"
        dsn = "nonsense"
        hots = "x"
        [nodes.connect_options]
        port = 1
        [defaults]
        password = "{SECRET}"
        password_file = "missing.pw"
        [cluster]
        stager = 0
        driver = 3
        connect_timeout = true
        """
    )
    assert [line.partition(": ")[0] for line in lines] == [
        "stagger",
        "cluster.driver",
        "cluster.connect_timeout",
        "cluster.stager",
        "defaults.password_file",
        "defaults.password_file",
        "nodes[0].user (a)",
        "nodes[0].host (a)",
        "nodes[0].port (a)",
        "nodes[1].dsn (a)",
        "nodes[1].hots (a)",
        "nodes[1].name (a)",
        "nodes[1].connect_options.port (a)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        fields(password=f"['{SECRET}']"),
        fields(password=f"{{ x = '{SECRET}' }}"),
        fields(sslpassword=f"['{SECRET}']"),
        fields(host=f"'{SECRET}@h'"),
        fields(port=f"'{SECRET}'"),
        f"[cluster]\ntarget = '{SECRET}'\n{ONE_NODE}",
        f"[cluster]\nconnect_timeout = '{SECRET}'\n{ONE_NODE}",
        f"[cluster]\npassword = '{SECRET}'\n{ONE_NODE}",
        f"[connect_options]\npassword = '{SECRET}'\n{ONE_NODE}",
        f"connect_options = '{SECRET}'\n{ONE_NODE}",
        f"defaults = '{SECRET}'\n{ONE_NODE}",
        f"nodes = ['{SECRET}']",
        f"[[nodes]]\nname = ['{SECRET}']\ndsn = 'mysql://h'",
        f"[[Nodes]]\nName = 'a'\nHostName = 'h'\nPassword = ['{SECRET}']",
        f"[[nodes]]\nname = 'a'\npassword = '{SECRET}",
    ],
)
def test_no_error_shows_a_value(problems: Callable[..., list[str]], text: str) -> None:
    assert "s3cr3t" not in "\n".join(problems(text))


@pytest.mark.parametrize(
    "dsn",
    [
        "root:s3cr3t@h/db",
        "root:s3cr3t@tcp(h:3306)/db",
        "root:s3c@tcp(r3t@tcp(h:3306)/db",
        "root:s3cr3t(x",
        "s3cr3t",
        "mysql://root:s3cr3t/x@h/db",
        "mysql://root:x/s3cr3t@h/db:y",
        "mysql://root:s3cr3t#x@h:1/db",
        "mysql://root:a@b:s3cr3t/x@h/db",
        "mysql://root:s3cr3t",
        "mysql://root:s3cr3t@h:port/db",
        "mysql://root:s3cr3t@h1,h2/db",
        "mysql://root:s3cr3t@[h/db",
        "mysql://root:x@s3cr3t@[h/db",
        "mysql://h:x/db?password=s3cr3t",
        "mysql://h/db?a=1&a=2&password=s3cr3t",
    ],
)
def test_no_error_shows_a_part_of_a_dsns_password(problems: Callable[..., list[str]], dsn: str) -> None:
    (line,) = problems(f"[[nodes]]\nname = 'a'\ndsn = '{dsn}'")
    assert line.startswith("nodes[0].dsn (a): ")
    assert not any(part in line for part in ("s3cr3t", "s3c", "r3t"))


def test_a_go_dsn_is_answered_with_the_url_to_write(problems: Callable[..., list[str]]) -> None:
    (line,) = problems("[[nodes]]\nname = 'a'\ndsn = 'root:pw@tcp(db1:3306)/test'")
    assert line.endswith("write it as a URL: 'mysql://root:***@db1:3306/test'")


def test_several_hosts_in_a_nodes_dsn_are_an_error(problems: Callable[..., list[str]]) -> None:
    (line,) = problems("[[nodes]]\nname = 'a'\ndsn = 'mysql://root@db1,db2/test'")
    assert "names several hosts" in line
