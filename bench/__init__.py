"""What a connect costs: `python -m bench.connect`, or `make bench`."""
