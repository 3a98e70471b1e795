"""What a type is made of."""

# The rules of `annotated_types`, and the bound that each sets.
RULES = {"Gt": "gt", "Ge": "ge", "Lt": "lt", "Le": "le", "MultipleOf": "multiple_of", "MinLen": "min_length",
         "MaxLen": "max_length"}


def kinds(neutral):
    """All kinds of types in a type."""
    inner = [neutral.get(it) for it in ("item", "key", "value")] + neutral.get("args", [])
    return {neutral["kind"]}.union(*(kinds(it) for it in inner if isinstance(it, dict)))
