"""What pydantic makes anew for each value that DSPy writes into a prompt, made once.

A fifth of the time that DSPy takes for a call of one text each way goes there.
"""

import functools


def remember():
    """Keeps the adapters of Python's own types. Others may change what they are: a model that is
    rebuilt, a union that equals another of the same types in another order."""
    from dspy.adapters import utils

    make = utils.TypeAdapter
    made = functools.cache(make)

    def adapter(annotation, *args, **kwargs):
        plain = type(annotation) is type and annotation.__module__ == "builtins"
        if not plain or args or kwargs:
            return make(annotation, *args, **kwargs)
        return made(annotation)

    utils.TypeAdapter = adapter
