"""Real servers in temporary folders, and the demo that breaks them: `python -m aioclustersql.demo`.

`demo.postgres` starts a PostgreSQL primary with hot standbys on loopback; the tests use it too. Nothing in the rest of the
library imports this package.
"""
