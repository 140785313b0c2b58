"""Tests of config.toml."""
