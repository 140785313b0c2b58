"""Connect to the nodes of a config.toml, and watch: every login on every node is told, also those that lose or fail.

python examples/from_config.py my.toml        # without a file: the one that $DBCONFIG names, else ./config.toml
"""

import asyncio
import sys

from aioclustersql import Cluster, ClusterError
from aioclustersql.events import Connected, Event, HealthChanged, LoginFailed, LoginStarted, LoginSucceeded


def tell(event: Event) -> None:
    match event:
        case LoginStarted():
            print(f"{event.node}: logging in ({event.reason})")
        case LoginSucceeded():
            print(f"{event.node}: logged in after {1000 * event.seconds:.1f} ms{', and is not needed' if event.lost else ''}")
        case LoginFailed():
            print(f"{event.node}: {event.error}")
        case HealthChanged():
            print(f"{event.node}: {event.old} -> {event.new}")
        case Connected():
            print(f"{event.node}: wins; logins started: {event.logins}")


async def main(path: str | None) -> None:
    cluster = Cluster.from_config(path, target="any", connect_timeout=5.0)  # keywords win over the file
    cluster.subscribe(tell)
    async with cluster:
        for _ in range(3):  # the first connect races all nodes, the others know where to go
            async with cluster.connect() as conn:
                print(f"connected to {cluster.node_of(conn)}")


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
    except ClusterError as error:  # the message says what is wrong, of the file or of each node
        sys.exit(f"{type(error).__name__}: {error}")
