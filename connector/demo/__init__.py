"""A tiny CLIP and the drawings it knows, so that the first command works with no network.

The model's files are in `model/`; `README.md` says how it was made, how well it does and what it cannot do.
"""

from pathlib import Path

from connector.demo.words import KNOWN_WORDS, unknown_query

MODEL_FOLDER = Path(__file__).parent / "model"

__all__ = ["KNOWN_WORDS", "MODEL_FOLDER", "unknown_query"]
