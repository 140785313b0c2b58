"""The tables of config.toml: which keys there are, and what each may hold. No I/O; nodes are made elsewhere.

A new section is a `Section` with its `prefix`, and a field of `File`: the rest follows from these tables. What a value may be
is in `values`. Rule: a default here is the one of `Cluster`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from .values import (
    Dsn,
    GraceSeconds,
    Host,
    HostOrNone,
    Interval,
    Lag,
    Never,
    PortNumber,
    Positive,
    Seconds,
    Socket,
    Stagger,
    Switch,
    TargetName,
    Text,
    Weight,
    WholeNumber,
)

__all__ = [
    "ClusterSection",
    "Defaults",
    "File",
    "MonitorSection",
    "NodeTable",
    "OriginalFile",
    "OriginalNode",
    "PoolSection",
    "Section",
    "Table",
]


class Table(BaseModel):
    """A table of the file: no key is unknown."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Section(Table):
    """A table whose keys are keywords of `Cluster`, once `prefix` is put before them."""

    prefix: ClassVar[str] = ""

    def keywords(self) -> dict[str, Any]:
        """What the file says, by the names of `Cluster`'s keywords; what it leaves out is left to `Cluster`."""
        return {self.prefix + key: getattr(self, key) for key in type(self).model_fields if key in self.model_fields_set}


class ClusterSection(Section):
    """[cluster]"""

    name: Text = "cluster"
    driver: Text | None = None
    target: TargetName = "read-write"
    writers: Positive | None = None
    max_lag: Lag | None = None
    max_lag_bytes: Lag | None = None
    stagger: Stagger = "auto"
    connect_timeout: Seconds = 10.0
    run_timeout: GraceSeconds = 30.0
    attempts: Positive = 5
    close_timeout: GraceSeconds = 5.0
    debug: Switch = False


class PoolSection(Section):
    """[pool]"""

    min_size: WholeNumber = 0
    max_size: Positive = 10
    max_total: Positive | None = None
    max_waiting: WholeNumber = 0
    max_lifetime: Seconds = 3600.0
    max_idle_time: Seconds = 600.0
    acquire_timeout: GraceSeconds = 30.0
    reset: Never | None = None


class MonitorSection(Section):
    """[monitor]"""

    prefix = "monitor_"

    interval: Interval = 1.0
    timeout: Seconds = 0.5
    interrupt: Switch = True


class Defaults(Table):
    """[defaults]: what every node may have."""

    scheme: Text | None = None
    host: Host | None = None
    port: PortNumber | None = None
    unix_socket: Socket | None = None
    user: str | None = None
    password: str | None = None
    password_file: Text | None = None
    database: str | None = None
    sslmode: Text | None = None
    sslrootcert: Text | None = None
    sslcert: Text | None = None
    sslkey: Text | None = None
    sslpassword: str | None = None
    weight: Weight = 1.0
    connect_options: dict[str, Any] = {}


class NodeTable(Defaults):
    """[[nodes]]"""

    name: Text
    dsn: Dsn | None = None


class File(Table):
    """The whole file."""

    cluster: ClusterSection = ClusterSection()
    pool: PoolSection = PoolSection()
    monitor: MonitorSection = MonitorSection()
    connect_options: dict[str, Any] = {}
    defaults: Defaults = Defaults()
    nodes: Annotated[list[NodeTable], Field(min_length=1)]

    @property
    def sections(self) -> tuple[Section, ...]:
        """The tables that hold keywords of `Cluster`."""
        return tuple(table for key in type(self).model_fields if isinstance(table := getattr(self, key), Section))


class OriginalNode(Table):
    """[[Nodes]] of the Go package's file."""

    Name: Text
    HostName: HostOrNone = ""
    Port: PortNumber = 3306
    UserName: str = ""
    Password: str = ""
    DBName: str = ""


class OriginalFile(Table):
    """The Go package's file."""

    Nodes: Annotated[list[OriginalNode], Field(min_length=1)]
