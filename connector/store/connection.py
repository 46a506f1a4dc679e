"""A collection as a Qdrant client sees it: who is asked, what is there, and what a refusal means."""

from __future__ import annotations

import math
import re
import urllib.parse
from collections.abc import Callable, Sequence
from typing import TypeVar

from qdrant_client import QdrantClient, models

from connector.errors import CollectionMismatch, StoreUnavailable
from connector.store.retry import Passing, Refused
from connector.store.shape import Shape
from connector.store.wire import Calls, raise_for_status

T = TypeVar("T")

_CONDITIONAL_WRITES = (
    1,
    16,
)  # the first server version that does not silently ignore the condition of a write


def connect(url: str, api_key: str | None, timeout: float, grpc_port: int | None = None) -> QdrantClient:
    """Return a client for a server; nothing is sent yet."""
    return QdrantClient(
        url=url,
        api_key=api_key,
        timeout=math.ceil(timeout),
        prefer_grpc=grpc_port is not None,
        grpc_port=grpc_port or 6334,
        check_compatibility=False,
        event_hooks={"response": [raise_for_status]},
    )


def without_credentials(url: str) -> str:
    """Return the URL as it may be shown: no user, no password, no query."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Connection:
    """A client, the collection it is about, and the way its calls are made.

    Attributes:
        client: for everything but points in bulk.
        bulk: for points in bulk; the same one, unless they go over gRPC.
        grpc_seconds: how long an answer over gRPC may take; None where points go over REST.
        collection: the collection's name, or an alias.
        calls: how each call is made.
    """

    def __init__(
        self,
        client: QdrantClient,
        collection: str,
        calls: Calls,
        bulk: QdrantClient | None = None,
        owned: bool = True,
        grpc_seconds: float | None = None,
    ) -> None:
        self.client = client
        self.bulk = bulk or client
        self.grpc_seconds = grpc_seconds
        self.collection = collection
        self.calls = calls
        self._owned = owned
        self._shape: Shape | None = None
        self._guarded = False
        self._closed = False

    def ask(self, call: Callable[[], T]) -> T:
        """Return what a call returns that no point can be to blame for."""
        self.check_open()
        try:
            return self.calls(call)
        except Refused as error:
            raise self.refusal(error) from error

    def write(self, call: Callable[[], models.UpdateResult | Sequence[models.UpdateResult]]) -> None:
        """Make a write and return when it is applied, not only saved.

        Raises:
            Refused: Qdrant said no; the points may be to blame.
        """

        def once() -> None:
            result = call()
            for each in result if isinstance(result, Sequence) else [result]:
                if each.status != models.UpdateStatus.COMPLETED:
                    raise Passing(f"the write was saved but not applied ({each.status.value})")

        self.check_open()
        self.calls(once)

    def write_or_raise(self, call: Callable[[], models.UpdateResult | Sequence[models.UpdateResult]]) -> None:
        """Make a write that no point can be to blame for."""
        try:
            self.write(call)
        except Refused as error:
            raise self.refusal(error) from error

    def info(self) -> models.CollectionInfo | None:
        """Return what Qdrant says of the collection, or None when there is none; one request."""
        self.check_open()
        try:
            return self.calls(lambda: self.client.get_collection(self.collection))
        except Refused as error:
            if error.status == 404:
                return None
            raise self.refusal(error) from error

    def shape(self, info: models.CollectionInfo | None = None) -> Shape:
        """Return the vectors that the collection holds; asked for once, unless `info` says it."""
        if self._shape is None or info is not None:
            info = info or self.info()
            if info is None:
                raise self.missing()
            self._shape = self._read_shape(info)
        return self._shape

    def real_name(self) -> str:
        """Return the collection's own name, where `collection` may be an alias: not all calls follow those."""
        self.check_open()
        try:
            aliases = self.calls(self.client.get_aliases).aliases
        except Refused:  # a key for one collection only may not ask, and is bound to a collection's own name
            return self.collection
        targets = {alias.alias_name: alias.collection_name for alias in aliases}
        return targets.get(self.collection, self.collection)

    def check_guards(self) -> None:
        """See, once, that the server is new enough to keep the conditions of writes.

        Raises:
            StoreUnavailable: it is not, and would write older data over newer.
        """
        if self._guarded:
            return
        self.check_open()
        try:
            said = self.calls(self.client.info).version
        except Refused:  # something between hides it
            said = ""
        found = re.match(r"(\d+)\.(\d+)", said)
        if found and (int(found[1]), int(found[2])) < _CONDITIONAL_WRITES:
            raise StoreUnavailable(
                f"Qdrant at {self.calls.place} is version {said}, which cannot keep older data from being written "
                f"over newer. Upgrade it to {'.'.join(map(str, _CONDITIONAL_WRITES))} or newer."
            )
        self._guarded = True

    def check_open(self) -> None:
        """Raise `StoreUnavailable` when the store was closed."""
        if self._closed:
            raise StoreUnavailable(f"The store at {self.calls.place} was closed. Open it again to go on.")

    def close(self) -> None:
        """Close the connections that are ours; what was in memory is gone."""
        self._closed = True
        if self._owned:
            self.client.close()
            if self.bulk is not self.client:
                self.bulk.close()

    def missing(self) -> StoreUnavailable:
        """Say that there is no collection."""
        return StoreUnavailable(
            f"There is no collection {self.collection!r} at {self.calls.place}. Ingest something first."
        )

    def refusal(self, error: Refused) -> StoreUnavailable:
        """Say what a refusal means that no point is to blame for."""
        if error.status in (401, 403):
            return StoreUnavailable(
                f"Qdrant at {self.calls.place} does not let us in ({error}). "
                "Pass a valid api_key, or set QDRANT_API_KEY."
            )
        if error.status == 404:
            return self.missing()
        return StoreUnavailable(f"Qdrant at {self.calls.place} refused the request: {error}.")

    def _read_shape(self, info: models.CollectionInfo) -> Shape:
        vectors = info.config.params.vectors
        lengths = {params.size for params in vectors.values()} if isinstance(vectors, dict) else set()
        if not isinstance(vectors, dict) or len(lengths) != 1:
            raise CollectionMismatch(
                f"Collection {self.collection!r} at {self.calls.place} was not made by this package: "
                "its vectors have no names, or not one length. Use another collection name."
            )
        return Shape(lengths.pop(), tuple(vectors), info.config.quantization_config is not None)
