"""`aioclustersql bench`: what connects and leases cost on the user's own cluster. Reads and writes nothing there."""
