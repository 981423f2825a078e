"""Runs campaigns: many tasks that share nothing, on one process or on as many machines as there are.

A campaign is a folder (:mod:`.folder`), tasks (:mod:`.task`) and a runner (:mod:`.runner`): this process, a
local cluster of processes, or a Dask scheduler somewhere. Nothing here knows what the tasks are about.
"""
