"""dspyx: runs DSPy programs as durable jobs. The Python side of it."""

from .reward import Expression, Regex

__all__ = ["Expression", "Regex"]
