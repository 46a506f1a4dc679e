"""What a server of the jobs API says of its models and its results, read strictly: addresses, descriptions, vectors."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from connector.engine.service_models import SERVICE_MODELS
from connector.errors import InvalidSpaceParamException, ModelUnavailable
from connector.transformation import PictureFrame

IMAGES, TEXTS = "image-embedding", "text-embedding"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXAMPLE = "'http://gpu.example:8888/clip-vit-large-patch14'"
_NEEDED = frozenset({"handler", "weights", "preprocess"})


@dataclasses.dataclass(frozen=True)
class Address:
    """Where a remote model is: the server's base URL without a slash at its end, and the model's name there."""

    base: str
    model: str


@dataclasses.dataclass(frozen=True)
class Description:
    """What a server's model is.

    Attributes:
        tasks: what it can be asked for, in kebab-case.
        length: values in a vector; None where only a vector would tell.
        frame: what pictures may be resized to before they are sent; None: they are sent whole.
        identity: what makes its vectors, as the handler there says it.
    """

    tasks: frozenset[str]
    length: int | None
    frame: PictureFrame | None
    identity: dict[str, str]

    def differences(self, other: Description) -> list[str]:
        """In what the vectors of two differ; a new name or library is no difference, as it is none to a collection."""
        kinds = sorted(_NEEDED)
        return [kind for kind in kinds if self.identity[kind] != other.identity[kind]]


def address_of(url: str) -> Address:
    """Read the URL that stands for a remote model.

    Raises:
        InvalidSpaceParamException: it is none, names no model, or carries a password.
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidSpaceParamException(
            f"The model of ModelHandler.REMOTE is no URL that can be read. Write one like {_EXAMPLE}."
        ) from error
    if parts.username is not None or parts.password is not None:
        # Not quoted: the model's name is shown in messages and stored in the collection.
        raise InvalidSpaceParamException(
            "The model's URL carries a user name or a password. Leave them out; a key goes into "
            "EmbeddingEngineConfig(remote_key=…)."
        )
    prefix, _, model = parts.path.rstrip("/").rpartition("/")
    if parts.scheme not in ("http", "https") or not host or not _NAME.fullmatch(model):
        raise InvalidSpaceParamException(
            f"model {url[:200]!r} is no remote model. Write the server's URL and the model's name there, as in "
            f"{_EXAMPLE}."
        )
    if parts.query or parts.fragment:
        raise InvalidSpaceParamException(f"The model's URL has a query. Write it as in {_EXAMPLE}.")
    return Address(f"{parts.scheme}://{parts.netloc}{prefix}", model)


def description_of(body: Any, address: Address) -> Description:
    """Read what our server says of a model (`GET /api/models/{model}`).

    Raises:
        ModelUnavailable: a part of it is missing or of the wrong kind.
    """
    try:
        frame = body["frame"]
        identity = body["identity"]
        if not isinstance(identity, dict) or not identity.keys() >= _NEEDED:
            raise TypeError("an identity without its parts")
        if not all(isinstance(part, str) for pair in identity.items() for part in pair):
            raise TypeError("an identity of something else than words")
        length = body["length"]
        if not isinstance(length, int) or isinstance(length, bool) or length < 1:
            raise TypeError("a length that is none")
        return Description(frozenset(str(task) for task in body["tasks"]), length, _frame(frame), identity)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(
            f"The server at {address.base} describes its model {address.model!r} in a way that cannot be read "
            f"({type(error).__name__}: {error}). Check that server and client are of the same release."
        ) from error


def _frame(value: Any) -> PictureFrame | None:
    if value is None:
        return None
    size, fit, resample = value["size"], value["fit"], value["resample"]
    known = fit in ("shortest", "squash") and resample in ("bicubic", "bilinear", "lanczos")
    if not isinstance(size, int) or not 1 <= size <= 4096 or not known:
        raise ValueError(f"a frame that is none: {str(value)[:100]}")
    return PictureFrame(size, fit, resample)


def description_of_original(tasks: Any, address: Address) -> Description:
    """What vitrivr's service says of a model: its tasks alone. The rest is known of its three models.

    It cannot say which weights it runs, so its vectors have an identity of their own, and are never mixed with those
    of a model that was loaded here.
    """
    name = address.model.replace("_", "-")
    known = SERVICE_MODELS.get(name)
    identity = {
        "handler": "vitrivr",
        "name": name,
        "revision": "",
        "weights": name,
        "precision": "float32",
        "preprocess": f"vitrivr {name}",
        "library": "feature-extraction-server",
    }
    return Description(
        frozenset(str(task) for task in tasks),
        known.length if known else None,
        known.frame if known else None,
        identity,
    )


def rows_of(result: Any, count: int, length: int | None) -> NDArray[np.float32]:
    """Read a batched job's result: float32 (count, length); a number that is not finite stays what it is.

    Raises:
        ModelUnavailable: it is no list of `count` vectors of `length` numbers.
    """
    if not isinstance(result, list) or len(result) != count:
        found = f"{len(result)} results" if isinstance(result, list) else type(result).__name__
        raise _no_vectors(f"{found} for {count} inputs")
    vectors = [each.get("embedding") if isinstance(each, Mapping) else None for each in result]
    wanted = length
    for vector in vectors:
        if not isinstance(vector, list) or not vector:
            raise _no_vectors("a result without a vector")
        wanted = wanted or len(vector)
        if len(vector) != wanted:
            raise _no_vectors(f"a vector of {len(vector)} numbers, not {wanted}")
        if not all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in vector):
            raise _no_vectors("a vector of something else than numbers")
    # Beyond float32 is infinite, which the engine refuses for that one input; an error here would be one for all.
    clipped = [[_float(x) for x in vector] for vector in vectors if vector is not None]
    return np.asarray(clipped, np.float32)


def _float(number: int | float) -> float:
    try:
        return float(number) if abs(number) <= 3.4e38 or math.isnan(number) else math.inf
    except OverflowError:
        return math.inf


def _no_vectors(what: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"The server's answer is not the vectors that were asked for ({what}). Check the model's URL, and what stands "
        "between here and there."
    )
