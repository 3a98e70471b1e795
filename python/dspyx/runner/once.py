"""What DSPy makes anew for each call of a model though it stays the same, made once.

Of the time that DSPy takes for a call of one text each way, a fifth goes into pydantic's adapters, and
a tenth into the other two.
"""

import functools

# How many system messages are kept: a program has one for each of its signatures.
MESSAGES_MAX = 256


def remember():
    """Has what stays the same made once. Another version of DSPy may make it in another way, and then
    makes it each time."""
    for part in (_type_adapters, _fields, _system_messages):
        try:
            part()
        except (ImportError, AttributeError):
            continue


def _is_plain(annotation):
    """Whether it is a type of Python's own. Others may change what they are: a model that is rebuilt,
    a union that equals another of the same types in another order."""
    return type(annotation) is type and annotation.__module__ == "builtins"


def _type_adapters():
    """Pydantic's adapters, of each value that is written into a prompt."""
    from dspy.adapters import utils

    make = utils.TypeAdapter
    made = functools.cache(make)

    def adapter(annotation, *args, **kwargs):
        if not _is_plain(annotation) or args or kwargs:
            return make(annotation, *args, **kwargs)
        return made(annotation)

    utils.TypeAdapter = adapter


def _fields():
    """The fields of a signature, which are asked for 26 times a call: by one look instead of three."""
    from dspy.signatures.signature import Signature, SignatureMeta

    def of_kind(cls, kind):
        fields = getattr(cls, "__pydantic_fields__", {})
        return {
            name: it
            for name, it in fields.items()
            if it.json_schema_extra["__dspy_field_type"] == kind
        }

    if SignatureMeta._get_fields_with_type(Signature, "input") == of_kind(Signature, "input"):
        SignatureMeta._get_fields_with_type = of_kind


def _system_messages():
    """What a chat says of a signature before the question, by all that it is made of."""
    from dspy.adapters.chat_adapter import ChatAdapter
    from dspy.signatures.signature import SignatureMeta

    make, made = ChatAdapter.format_system_message, {}
    names = ("format_field_description", "format_field_structure", "format_task_description")
    original = [getattr(ChatAdapter, name) for name in names]

    def made_of(adapter, signature):
        """All that a message is made of; nothing where that cannot be said."""
        is_known = type(adapter) is ChatAdapter and type(signature) is SignatureMeta
        if not is_known or [getattr(ChatAdapter, name) for name in names] != original:
            return None
        parts = [signature.__doc__]
        for name, field in signature.__pydantic_fields__.items():
            if field.metadata or not _is_plain(field.annotation):
                return None
            parts += (name, field.annotation, *field.json_schema_extra.items())
        return tuple(parts)

    def format_system_message(self, signature):
        parts = made_of(self, signature)
        try:
            message = made.get(parts) if parts is not None else None
        except TypeError:
            # A field says something of itself that can be changed in its place.
            return make(self, signature)
        if message is None:
            message = make(self, signature)
            if parts is not None and len(made) < MESSAGES_MAX:
                made[parts] = message
        return message

    ChatAdapter.format_system_message = format_system_message
