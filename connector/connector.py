"""The straight line: records in, searchable points out, and back again by picture or by words.

row → schema.parse → blobs.fetch, decode → engine.embed, fuse → store.points → Qdrant
"""

from __future__ import annotations

import datetime as dt
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast, overload

from connector.collection import Collection, default_name
from connector.embedding import FUSED, Embedder
from connector.hit import Hit
from connector.ingestion import ingest
from connector.query import Query, asked_field, asked_schema
from connector.report import Rejection, Report
from connector.rows import Rows, Source, open_rows
from connector.schema.conditions import Condition
from connector.schema.fields import BlobSource
from connector.schema.schema import Schema
from connector.search import find
from connector.space import ImageSpace, SpaceEntry, Weights
from connector.stages.parse import Parser
from connector.stages.run import Run
from connector.store.opening import open_aliases, open_store
from connector.sync import SyncOptions

if TYPE_CHECKING:
    from connector.blobs.fetch import BlobFetcher
    from connector.blobs.picture import Picture
    from connector.blobs.policy import BlobPolicy
    from connector.probes.probes import Drift
    from connector.store.store import Quantization, Store

S = TypeVar("S", bound=Schema)
R = TypeVar("R", bound=Schema)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Connector(Generic[S]):
    """Records of a space, kept in one Qdrant collection. Searching is safe from several threads.

    Args:
        space: what becomes a vector, and by which model.
        qdrant: a folder on this machine ("./shop.qdrant"), ":memory:", or a server ("https://qdrant.example:6333").
        collection: the collection's name; by default the schemas' names in lower case.
        api_key: for a server that asks for one.
        prefer_grpc: send bulk writes to a server over gRPC (port 6334).
        blob_policy: what may be fetched and how large it may be; the defaults are safe for feeds from strangers.
        quantization: "scalar" or "binary" keeps short forms of the vectors in memory, searched first, when the
            collection is made; for millions of records. One that is there stays as it was made.
        clock: what time it is, in UTC; a test's seam.

    Opening reads nothing: the store is opened and the model loaded when first needed.
    """

    def __init__(
        self,
        space: ImageSpace[S],
        qdrant: str | Path = ":memory:",
        collection: str | None = None,
        *,
        api_key: str | None = None,
        prefer_grpc: bool = False,
        blob_policy: BlobPolicy | None = None,
        quantization: Quantization | None = None,
        clock: Callable[[], dt.datetime] = _now,
    ) -> None:
        self.space = space
        self.qdrant = str(qdrant)
        self.collection = collection or default_name(space)
        self._policy = blob_policy
        self._clock = clock
        self._collection = Collection(
            space,
            self.qdrant,
            self.collection,
            lambda name: open_store(self.qdrant, name, api_key=api_key, prefer_grpc=prefer_grpc),
            lambda: open_aliases(self.qdrant, api_key=api_key),
            clock,
            quantization,
        )
        self._embedder = Embedder(space, self._collection.check_model)

    # --- in ---------------------------------------------------------------------------------------------------

    def ingest(
        self,
        rows: Source,
        *,
        schema: type[Schema] | None = None,
        base: Path | str | None = None,
        query: str | None = None,
        blob_policy: BlobPolicy | None = None,
        on_rejection: Callable[[Rejection], object] | None = None,
        on_progress: Callable[[Report, float | None], object] | None = None,
    ) -> Report:
        """Add or update records. What is stored already, exactly as it comes, is neither embedded nor written again.

        Args:
            rows: mappings, records, a data frame, or the path of a `.jsonl`, `.csv`, `.parquet` file or a folder
                of pictures; read once, streamed.
            schema: which schema mappings are, where the space holds several.
            base: the folder relative picture paths start from; by default the source's own, or the working directory.
            query: the SQL, where `rows` is a database's URL.
            blob_policy: what these rows' pictures may be, where that differs from the connector's own.
            on_rejection: called with each row that cannot be taken, in the order of the rows.
            on_progress: called after each batch with the report so far and the fraction done (None if unknown).

        Returns:
            a `Report` that balances: read = new + changed + unchanged + rejected.

        Raises:
            OperationalError: the source, the model or Qdrant cannot be reached. What was stored stays stored, and
                running it again goes on from there.
        """
        opened = self._opened(rows, schema, base, query)
        return self._run(
            opened, schema, SyncOptions(), on_rejection, on_progress, unique=False, policy=blob_policy
        )

    def sync(
        self,
        rows: Source,
        *,
        schema: type[Schema] | None = None,
        base: Path | str | None = None,
        query: str | None = None,
        delete_missing: bool = False,
        max_delete: float = 0.2,
        dry_run: bool = False,
        limit: int | None = None,
        verify_bytes: bool = False,
        only_rejected: Path | str | None = None,
        max_rejects: float | None = None,
        wait: float = 0.0,
        on_rejection: Callable[[Rejection], object] | None = None,
        on_progress: Callable[[Report, float | None], object] | None = None,
    ) -> Report:
        """Make the collection equal to the source; one sync of a collection at a time.

        Like `ingest`, and further: an id that comes twice is a rejection, and what the source no longer has can be
        deleted. It keeps no ledger beside the collection, so any machine can run the next one, also after a crash.

        Args:
            rows, schema, base, query, on_rejection, on_progress: as for `ingest`.
            delete_missing, max_delete, dry_run, limit, verify_bytes, only_rejected, max_rejects, wait: see `SyncOptions`.

        Raises:
            DeletionRefused: more than `max_delete` of the collection would go; everything else is done.
            StoreLocked: another sync of this collection did not end within `wait` seconds.
            OperationalError: as for `ingest`, and `TooManyRejections`.
        """
        options = SyncOptions(
            delete_missing, max_delete, dry_run, limit, verify_bytes, only_rejected, max_rejects, wait
        )
        opened = self._opened(rows, schema, base, query)
        return self._run(opened, schema, options, on_rejection, on_progress, unique=True)

    def _opened(
        self, rows: Source, schema: type[Schema] | None, base: Path | str | None, query: str | None
    ) -> Rows:
        return open_rows(rows, self._entry(schema) or self.space.entries[0], base, query=query)

    def _run(
        self,
        rows: Rows,
        schema: type[Schema] | None,
        options: SyncOptions,
        on_rejection: Callable[[Rejection], object] | None,
        on_progress: Callable[[Report, float | None], object] | None,
        *,
        unique: bool,
        policy: BlobPolicy | None = None,
    ) -> Report:
        started = time.perf_counter()
        parser = Parser(self.space, self._entry(schema), unique=unique)
        with (
            rows as source,
            self._fetcher(source.base, policy) as fetcher,
            self._collection.opened_for_writing(self._embedder, options, locked=unique) as store,
        ):
            base = str(source.base.absolute())
            version = functools.cache(lambda: self._collection.next_version(self._clock()))
            run = Run(store, self._embedder, fetcher, base, options, self._clock, version, started)
            ingest(run, parser, source, on_rejection, on_progress)
        if parser.broken is not None:
            raise parser.broken
        return run.report

    # --- out --------------------------------------------------------------------------------------------------

    @overload
    def search(
        self,
        text: str | None = None,
        *,
        image: BlobSource | Picture | None = None,
        like: str | int | None = None,
        unlike: Sequence[str | int] = (),
        where: Condition | None = None,
        schema: type[R],
        limit: int = 10,
        offset: int = 0,
        weights: tuple[float, float] | Mapping[str, float] = Weights(),
        min_score: float | None = None,
        using: str = FUSED,
        with_vectors: bool = False,
    ) -> list[Hit[R]]: ...

    @overload
    def search(
        self,
        text: str | None = None,
        *,
        image: BlobSource | Picture | None = None,
        like: str | int | None = None,
        unlike: Sequence[str | int] = (),
        where: Condition | None = None,
        schema: type[Schema] | None = None,
        limit: int = 10,
        offset: int = 0,
        weights: tuple[float, float] | Mapping[str, float] = Weights(),
        min_score: float | None = None,
        using: str = FUSED,
        with_vectors: bool = False,
    ) -> list[Hit[S]]: ...

    def search(
        self,
        text: str | None = None,
        *,
        image: BlobSource | Picture | None = None,
        like: str | int | None = None,
        unlike: Sequence[str | int] = (),
        where: Condition | None = None,
        schema: type[Schema] | None = None,
        limit: int = 10,
        offset: int = 0,
        weights: tuple[float, float] | Mapping[str, float] = Weights(),
        min_score: float | None = None,
        using: str = FUSED,
        with_vectors: bool = False,
    ) -> list[Hit[Any]]:
        """Find records by words, by a picture, by a record they are like, or by words together with one of those.

        Args:
            text: words.
            image: a picture: bytes, a path, a URL, a data URL, base64, a PIL image, or what `picture` returned.
            like: the id of a record to start from; it is not among the hits.
            unlike: ids of records to turn away from: `unit(query - 0.5 * mean of their vectors)`. They are not among
                the hits. Alone, they ask for what is least like them.
            where: a condition, such as `Product.price < 80`.
            schema: records of this schema only, where the space holds several.
            limit: at most so many hits.
            offset: hits to skip, for paging.
            weights: how much picture and words count, picture first. Negative: "like this, but not that".
            min_score: leave out hits that score less (cosine, -1 to 1).
            using: the stored vector to compare with: "fused", or "image" or "text" alone.
            with_vectors: hand each hit's stored vectors along.

        Raises:
            DataError: nothing to search for, or a part of it that does not fit.
            OperationalError: the model or Qdrant cannot be reached, or there is no such collection yet.
        """
        query = Query(
            text,
            image,
            like,
            where,
            asked_schema(self.space, where, schema),
            limit,
            offset,
            Weights.of(weights),
            min_score,
            using,
            tuple(unlike),
            with_vectors,
        )
        query.check(self.space, self._embedder.names)
        return find(query, self._collection, self._embedder, self.picture)

    def picture(self, image: BlobSource, *, blob_policy: BlobPolicy | None = None) -> Picture:
        """Fetch and decode a picture to search with, as `search` itself would.

        Args:
            image: whatever `search` takes.
            blob_policy: what may be fetched and how large it may be, where that differs from the connector's own.

        Raises:
            BlobError, BlobUnavailable: the picture cannot be had.
        """
        with self._fetcher(None, blob_policy) as fetcher:
            return self._embedder.decoded(fetcher.fetch(image), fetcher.policy)

    def embed_ahead(self, texts: Sequence[str] = (), pictures: Sequence[Picture] = ()) -> None:
        """Embed words and pictures that are about to be searched for, all in one go; `search` finds their vectors made.

        Embedding fifty together costs hardly more than one, so searches that wait for each other should.

        Raises:
            OperationalError: as for `search`.
        """
        self._collection.need(self._embedder)
        self._embedder.ahead(texts, pictures)

    def get(self, id: str | int, schema: type[Schema] | None = None) -> S | None:
        """The record with this id, or None. Where the space holds several schemas, the first that has it answers."""
        found = self._collection.points(id, schema)
        return cast("S", self._collection.record(found[0])) if found else None

    def remove(self, *ids: str | int, schema: type[Schema] | None = None) -> int:
        """Remove the records with these ids; those that are not there are no error. Returns how many there were."""
        found = {point.id for id in ids for point in self._collection.points(id, schema)}
        if found:
            self._collection.store.delete(sorted(found))
            self._collection.store.flush()
        return len(found)

    def thumbnail(
        self, id: str | int, *, schema: type[Schema] | None = None, side: int = 256
    ) -> bytes | None:
        """A JPEG of a record's own picture that fits a square of `side` pixels.

        It is fetched from where it was ingested from. None where there is no such record, where its picture came as
        content and not as a place, or where another picture is there by now.

        Raises:
            BlobError, BlobUnavailable: the picture cannot be had any more.
        """
        from connector.blobs.picture import thumbnail

        for stored in self._collection.pictures(id, schema):
            with self._fetcher(stored.base) as fetcher:
                fetched = fetcher.fetch(stored.place)
                # A stored place may be read only for the picture it was stored with, whatever is there now.
                return thumbnail(fetched, fetcher.policy, side) if fetched.digest == stored.digest else None
        return None

    def thumbnail_of(self, image: BlobSource, *, side: int = 256) -> bytes:
        """A JPEG of any picture a search could take, fitting a square of `side` pixels."""
        from connector.blobs.picture import thumbnail

        with self._fetcher(None) as fetcher:
            return thumbnail(fetcher.fetch(image), fetcher.policy, side)

    def count(self, where: Condition | None = None, schema: type[Schema] | None = None) -> int:
        """How many records there are, of those that `where` is about; 0 where there is no collection yet."""
        asked = asked_schema(self.space, where, schema)
        if self._collection.metadata() is None:
            return 0
        return self._collection.store.count(self._collection.where(where, asked))

    def facet(
        self,
        field: str,
        where: Condition | None = None,
        schema: type[Schema] | None = None,
        *,
        limit: int = 20,
    ) -> list[tuple[object, int]]:
        """The values that most records have in a field, each with their number, most first.

        Texts, whole numbers, truth values, Enums and Literals are counted, of a list each value once. Values are
        as stored: an Enum's is its value.

        Args:
            field: the field's name, the same in every schema that is asked about.
            where, schema: the records that are asked about, as for `count`.
            limit: at most so many values.
        """
        asked = asked_field(self.space, field, where, schema)
        if self._collection.metadata() is None:
            return []
        where_ = self._collection.where(where, asked)
        return list(self._collection.store.facet(field, where_, limit=limit))

    def extent(
        self, field: str, where: Condition | None = None, schema: type[Schema] | None = None
    ) -> tuple[object, object] | None:
        """The smallest and the largest number or moment in a field, as stored (a moment as text); None where there is none.

        The arguments are those of `facet`.
        """
        asked = asked_field(self.space, field, where, schema)
        if self._collection.metadata() is None:
            return None
        return self._collection.store.extent(field, self._collection.where(where, asked))

    def optimize(self) -> None:
        """Build the search graph now. A server does so by itself; a folder at the end of a run that brought many records.

        It is built by another process; searches go on meanwhile, writes wait.
        """
        if self._collection.metadata() is not None:
            self._collection.store.optimize()

    def check_probes(self) -> Drift | None:
        """Embed the collection's probe pictures and sentences again and compare; None where it has none.

        A run and a search do so by themselves once a day.

        Raises:
            CollectionMismatch: they have moved further than any change of precision or library moves them.
        """
        return self._collection.check_probes()

    @property
    def store(self) -> Store:
        """The collection's store: for what this class does not do."""
        return self._collection.store

    def close(self) -> None:
        """Release the store. The connector may not be used afterwards."""
        self._collection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Connector({self.space!r}, qdrant={self.qdrant!r}, collection={self.collection!r})"

    # --- schemas, records, pictures -------------------------------------------------------------------------------

    def _entry(self, schema: type[Schema] | None) -> SpaceEntry | None:
        if schema is not None:
            return self.space.entry(schema)
        return self.space.entries[0] if len(self.space.entries) == 1 else None

    def _fetcher(self, base: Path | None, policy: BlobPolicy | None = None) -> BlobFetcher:
        from connector.blobs.fetch import BlobFetcher

        return BlobFetcher(policy or self._policy, base)
