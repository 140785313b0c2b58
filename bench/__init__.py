"""What connects and leases cost, beside what a user would take instead: `python -m bench`, or `make bench`."""
