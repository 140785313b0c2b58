"""The chaos stand: real clusters, real faults, and what every client of them noticed. `python -m chaos --help`."""
