"""Drivers by name and by URL scheme; each is imported when it is first used."""
