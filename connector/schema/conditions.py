"""What `Product.price < 80` means, and its two other spellings: JSON (for HTTP) and text (for the shell).

    Product.price < 80                                    Python
    {"field": "price", "op": "<", "value": 80}            JSON
    price < 80                                            text

All three make equal `Condition` values; `str(condition)` and `condition.to_json()` print them back.
"""

from __future__ import annotations

from connector.schema.condition_json import condition_from_json
from connector.schema.condition_text import parse_condition
from connector.schema.nodes import And, Compare, Condition, Contains, In, IsNone, Matches, Not, Or, words_of

__all__ = [
    "And",
    "Compare",
    "Condition",
    "Contains",
    "In",
    "IsNone",
    "Matches",
    "Not",
    "Or",
    "condition_from_json",
    "parse_condition",
    "words_of",
]
