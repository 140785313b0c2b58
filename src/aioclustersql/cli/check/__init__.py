"""`aioclustersql check`: look at every node, try the cluster, and say what will hurt in production.

`examine` collects facts (`mysql` and `postgres` ask the servers, `acceptance` and `replication` try them out), `judge` turns
facts into findings, `report` prints them. Rule: judging does no I/O, and nothing that was made is left behind.
"""
