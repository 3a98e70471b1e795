"""Turns a live `dspy.Module` into a program file that the native engine runs exactly, or says which
part cannot be one, and what to do.

The walk recognises what is DSPy's own and nothing else; the rehearsal then runs the program in both
runtimes against the same replies and compares what they ask, byte for byte.
"""
