"""Runs a `dspy.Module` for a dspyx worker.

The worker starts an interpreter of the program's, sends these files over the socket that it gave it
as standard input, and calls `parent.main`. Nothing but `dspy` has to be installed there.

The parent loads the program once and forks the children that work, so that a child costs
milliseconds and can be killed at any time. `wire` has every message; `program` loads and describes,
`bridge` takes the calls of language models to the worker, `child` runs executions.
"""
