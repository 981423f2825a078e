"""Sweeps: any grid of configuration, link and workload, measured as the tasks of a campaign."""
