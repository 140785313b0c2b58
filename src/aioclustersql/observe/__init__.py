"""What an operator sees of clusters, in the tools he already uses: expvar's JSON, Prometheus, OpenTelemetry, a status page.

Everything here reads `Cluster.stats()` and events; nothing is counted a second time. Optional dependencies are imported late.
"""

from .debugvars import debug_vars

__all__ = ["debug_vars"]
