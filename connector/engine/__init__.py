"""Pictures and words to vectors. The only room that knows torch, which is imported when a model is loaded."""

from connector.engine.engine import Engine, transform
from connector.engine.handlers import ImageHandler, TextHandler, load_handler, release_handler
from connector.engine.lengths import vector_length

__all__ = [
    "Engine",
    "ImageHandler",
    "TextHandler",
    "load_handler",
    "release_handler",
    "transform",
    "vector_length",
]
