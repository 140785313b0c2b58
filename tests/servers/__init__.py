"""Real servers and a misbehaving network for the tests: plain processes on loopback, gone when the run ends."""
