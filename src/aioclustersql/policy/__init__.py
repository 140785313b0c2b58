"""Decides; pure. No asyncio, no clock, no randomness: the time and the random source are arguments."""
