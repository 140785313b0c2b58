"""The command line `aioclustersql`: check, watch, serve, bench and demo.

The entry point is `entry.main`, the commands' options are in `app`, and each command has a file or folder of its own. Rule: what
needs the extra `cli` is imported by commands alone, so that its absence is an error that helps.
"""
