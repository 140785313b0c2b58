"""`aioclustersql watch`: a live view of clusters, from a configuration or from the status URL of a running process.

Both sources give the same messages, those of the status app's /events, so that a view does not know where they come from.
"""
