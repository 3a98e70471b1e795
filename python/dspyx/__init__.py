"""dspyx: runs DSPy programs as durable jobs. The Python side of it."""

from .reward import Regex

__all__ = ["Regex"]
