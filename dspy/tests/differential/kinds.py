"""What a type is made of."""


def kinds(neutral):
    """All kinds of types in a type."""
    inner = [neutral.get(it) for it in ("item", "key", "value")] + neutral.get("args", [])
    return {neutral["kind"]}.union(*(kinds(it) for it in inner if isinstance(it, dict)))
