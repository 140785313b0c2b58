"""What a Galera node needs on disk: the programs, the options, the state transfer script, the users.

Here lies what is the same for every node and every cluster; the processes are in `galera_node.py`.
"""

import functools
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.servers.workspace import workspace

PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
PASSWORDS = {"root": "", "app": "pw", "plain": "pw"}
"""The users of every node, from any address. `root` and `app` may do everything, `plain` uses the database `test`."""

STATEMENTS = (
    "CREATE DATABASE test",
    "CREATE USER root@'%'",
    "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION",
    "CREATE USER app@'%' IDENTIFIED BY 'pw'",
    "GRANT ALL ON *.* TO app@'%'",
    "CREATE USER plain@'%' IDENTIFIED BY 'pw'",
    "GRANT ALL ON test.* TO plain@'%'",
)

SERVER_USER = "mysql" if os.geteuid() == 0 else None
"""MariaDB does not run as root; an ordinary user runs it as himself."""

_SEARCH_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"

SMALL = (
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-size=16M",
    "--innodb-log-file-size=8M",
    "--innodb-data-file-path=ibdata1:4M:autoextend",
    "--innodb-temp-data-file-path=ibtmp1:4M:autoextend",
    "--innodb-autoextend-increment=1",
    "--innodb-buffer-pool-dump-at-shutdown=0",
    "--innodb-buffer-pool-load-at-startup=0",
    "--aria-pagecache-buffer-size=1M",
    "--key-buffer-size=1M",
    "--table-open-cache=400",
)

# Galera's defaults notice a dead node after 5 s. The suspect time-out can only be shortened together with all the others:
# without the join retransmission period the survivors may never agree again.
FAST_EVS = {
    "evs.keepalive_period": "PT0.1S",
    "evs.inactive_check_period": "PT0.1S",
    "evs.suspect_timeout": "PT0.8S",
    "evs.inactive_timeout": "PT1.5S",
    "evs.install_timeout": "PT1.5S",
    "evs.join_retrans_period": "PT0.1S",
    "gmcast.peer_timeout": "PT0.8S",
    "gmcast.time_wait": "PT0.5S",
    "pc.announce_timeout": "PT0.5S",
    "pc.linger": "PT1S",
}

# State transfer for nodes that share a file system: only the position is handed over, in a file, and the missing
# transactions follow as an incremental transfer. A whole copy is refused; `heal` starts afresh then.
_SNAPSHOT_SCRIPT = """#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    --role) role=$2; shift ;;
    --address) address=$2; shift ;;
    --gtid) position=$2; shift ;;
    --bypass) bypass=1 ;;
  esac
  shift
done
file=$SNAPSHOT_FOLDER/$(echo "${address%/}" | tr -c '0-9.\\n' _)
if [ "$role" = joiner ]; then
  rm -f "$file"
  echo "ready $address"
  tries=0
  while [ ! -s "$file" ]; do
    sleep 0.05
    tries=$((tries + 1))
    [ $tries -gt 400 ] && exit 32
  done
  cat "$file"
  rm -f "$file"
else
  [ "$bypass" = 1 ] || exit 22
  echo "$position" > "$file.new"
  mv "$file.new" "$file"
  echo "done $position"
fi
"""


class ServerError(RuntimeError):
    """A server is missing, did not start, or did not reach the wanted state."""


def find_program(name: str) -> str:
    """The full path of one of MariaDB's programs."""
    path = shutil.which(name, path=_SEARCH_PATH)
    if path is None or not PROVIDER.exists():
        missing = PROVIDER if path else name
        raise ServerError(f"{missing} was not found: run scripts/install-servers.sh, or install mariadb-server and galera-4")
    return path


@functools.cache
def environment() -> dict[str, str]:
    """The environment of the servers: with their programs, and our way of state transfer, in the search path."""
    programs = workspace().folder / "galera-bin"
    programs.mkdir()
    script = programs / "wsrep_sst_local"
    script.write_text(_SNAPSHOT_SCRIPT)
    script.chmod(0o755)
    programs.chmod(0o755)
    return {**os.environ, "PATH": f"{programs}:{_SEARCH_PATH}"}


def give_to_server(*paths: Path) -> None:
    """Make the user that the servers run as the owner."""
    if SERVER_USER:
        for path in paths:
            shutil.chown(path, SERVER_USER, SERVER_USER)


def install_database(folder: Path) -> None:
    """Make a data directory with MariaDB's own tables, readable by the servers."""
    folder.mkdir()
    give_to_server(folder)
    command = [
        find_program("mariadb-install-db"),
        "--no-defaults",
        f"--datadir={folder}",
        *SMALL,
        "--wsrep-on=OFF",
        "--skip-name-resolve",
        "--skip-test-db",
        "--auth-root-authentication-method=normal",
        *([f"--user={SERVER_USER}"] if SERVER_USER else []),
    ]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
    if done.returncode:
        raise ServerError(f"mariadb-install-db failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def copy_database(template: Path, folder: Path) -> None:
    """Copy a stopped server's data directory with its owners, sparse files left sparse."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["cp", "-a", "--sparse=always", "--reflink=auto", template, folder], check=True)


def pretend_power_loss(folder: Path, members: Iterable[str], own: str) -> None:
    """Let the node believe that it, with these members, made up the primary component when the power went."""
    members = tuple(members)
    state, view = folder / "grastate.dat", folder / "gvwstate.dat"
    state.write_text(state.read_text().replace("safe_to_bootstrap: 1", "safe_to_bootstrap: 0"))
    lines = [f"my_uuid: {own}", "#vwbeg", f"view_id: 3 {members[0]} 3", "bootstrap: 0"]
    lines += [f"member: {member} 0" for member in members]
    view.write_text("\n".join([*lines, "#vwend", ""]))
    give_to_server(view)
