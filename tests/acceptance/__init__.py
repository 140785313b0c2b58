"""Is this a cluster? The tests that run against real nodes before production does: see `test_acceptance.py`."""
