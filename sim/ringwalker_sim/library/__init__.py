"""The library: a device in a script, a notebook or a test. What is public is in ``ringwalker_sim``."""
