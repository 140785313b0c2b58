"""What the drivers of PostgreSQL have in common: options, what an error means, what is asked and what a reset says."""
