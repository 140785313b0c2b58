"""Does what `policy` decided: tasks, timers, sockets."""
