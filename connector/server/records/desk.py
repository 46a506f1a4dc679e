"""What the routes of searches and records ask, done off the event loop, so much at once and no more."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import io
import json
import time
from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pydantic_core

from connector.blobs.fetch import BlobFetcher, Kind, classify
from connector.connector import Connector
from connector.hit import hit_object
from connector.report import Rejection
from connector.rows import Rows
from connector.schema.schema import Schema
from connector.server.config import ServerConfig
from connector.server.metrics import Metrics, Stage
from connector.server.problems import RETRY_AFTER, Problem
from connector.server.records.asking import Question
from connector.server.records.feed import Feed
from connector.server.records.together import Search, Together
from connector.sources.feeds import json_lines
from connector.typed_id import existing_id

if TYPE_CHECKING:
    from connector.blobs.picture import Picture

T = TypeVar("T")

DECODING = 2  # pictures decoded at once: a large one takes some hundred megabytes while it is
FETCHING = 4  # pictures fetched from elsewhere at once
FETCHES = 16  # in hand or waiting; slow servers of strangers must not keep all searches waiting
READING = 4  # records read at once
SHOWN_REJECTS = 1000


class Gate:
    """Lets so many in at once, and turns others away at once; used on the event loop alone."""

    def __init__(self, most: int, code: str, what: str) -> None:
        self._most = most
        self._problem = functools.partial(
            Problem,
            429,
            code,
            f"{most} {what} are in hand. Try again later.",
            headers={"Retry-After": RETRY_AFTER},
        )
        self._inside = 0

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Be inside for as long as the block runs.

        Raises:
            Problem: 429; it is full.
        """
        if self._inside >= self._most:
            raise self._problem()
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


class RecordDesk:
    """Searches, reads, counts, ingests and deletes for the routes. Made and used on one event loop; close it in the end.

    Args:
        shop: the collection. It stays the caller's, who closes it.
        config: how much at once, and what may be fetched for strangers.
        metrics: what counts it all.
    """

    def __init__(self, shop: Connector[Any], config: ServerConfig, metrics: Metrics) -> None:
        self.shop = shop
        self.config = config
        self._metrics = metrics
        self._searches = Gate(config.max_searches, "too_many_searches", "searches")
        self._fetches = Gate(FETCHES, "too_many_fetches", "pictures from other servers")
        self._reads = Gate(config.max_reads, "too_many_reads", "reads")
        self._pools = {
            name: ThreadPoolExecutor(size, thread_name_prefix=f"connector-{name}")
            for name, size in (("decode", DECODING), ("fetch", FETCHING), ("read", READING), ("ingest", 1))
        }
        self._feed: Feed | None = None
        on_server = shop.qdrant.startswith(("http://", "https://"))
        self._together = Together(self._embed, self._answer, threads=8 if on_server else 2)

    def close(self) -> None:
        """Stop; what is being ingested breaks off after the records in hand."""
        if self._feed is not None:
            self._feed.end("the server stops")
        self._together.close()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    # --- searching ------------------------------------------------------------------------------------------------

    async def search(self, question: Question, image: str | bytes | None) -> bytes:
        """The hits of a search, as the JSON that `SearchAnswer` describes.

        Raises:
            Problem: 429; too many searches are in hand.
            ConnectorError: whatever `Connector.search` raises.
        """
        with self._searches.entered():
            began = time.perf_counter()
            search = Search(question, None, asyncio.get_running_loop().create_future())
            if image is not None:
                search.picture = await self._picture(image)
                search.took["decode_ms"] = round((time.perf_counter() - began) * 1000, 3)
            hits = await self._together.ask(search)
            took = json.dumps(search.took).encode()
            return b'{"hits":%s,"took_ms":%.3f,"took":%s}' % (
                hits,
                (time.perf_counter() - began) * 1000,
                took,
            )

    async def _picture(self, image: str | bytes) -> Picture:
        if classify(image) is Kind.WEB_URL:
            with self._fetches.entered():
                image = await self._in("fetch", self._fetch, image)
        return await self._in("decode", self._decode, image)

    def _fetch(self, url: str | bytes) -> bytes:
        policy = self.config.blob_policy
        # Somebody waits: a picture that does not come soon is better told than tried again.
        seconds = min(policy.total_seconds, self.config.request_seconds / 3)
        policy = dataclasses.replace(policy, retries=0, total_seconds=seconds)
        with BlobFetcher(policy) as fetcher:
            return fetcher.fetch(url).data or b""

    def _decode(self, image: str | bytes) -> Picture:
        with self._timed("decode"):
            return self.shop.picture(image, blob_policy=self.config.blob_policy)

    def _embed(self, searches: Sequence[Search]) -> None:
        texts = [search.question.text for search in searches if search.question.text is not None]
        pictures = [search.picture for search in searches if search.picture is not None]
        self._metrics.batch(self.shop.space.model, len(texts) + len(pictures))
        with self._timed("embed"):
            self.shop.embed_ahead(texts if self.shop.space.model_handler.reads_text else (), pictures)

    def _answer(self, search: Search) -> bytes:
        asked = search.question
        with self._timed("search"):
            hits = self.shop.search(
                asked.text,
                image=search.picture,
                like=None if asked.like is None else self._meant(asked.like, asked.schema),
                unlike=[self._meant(id, asked.schema) for id in asked.unlike],
                where=asked.where,
                schema=asked.schema,
                limit=asked.limit,
                offset=asked.offset,
                weights=asked.weights,
                min_score=asked.min_score,
                using=asked.using,
            )
            return to_json([hit_object(hit) for hit in hits])

    def _meant(self, id: str | int, schema: type[Schema] | None) -> str | int:
        return existing_id(self.shop, id, schema) if isinstance(id, str) else id

    # --- records --------------------------------------------------------------------------------------------------

    async def read(self, work: Callable[[], T]) -> T:
        """Do a short piece of work on the collection in a thread.

        Raises:
            Problem: 429; too much is being read.
        """
        with self._reads.entered():
            return await self._in("read", work)

    async def thumbnail(self, work: Callable[[], T]) -> T:
        """Do a piece of work on a picture in a thread; few at once, for pictures are large.

        Raises:
            Problem: 429; too much is being read.
        """
        with self._reads.entered():
            return await self._in("decode", work)

    async def ingest(self, body: AsyncIterable[bytes], schema: type[Schema] | None) -> bytes:
        """Store rows as they come, as the JSON that `IngestAnswer` describes.

        Raises:
            Problem: 503; another ingest is running.
            ConnectorError: whatever `Connector.ingest` raises. What was stored stays stored.
        """
        if self._feed is not None:
            raise Problem(
                503,
                "ingest_busy",
                "Another ingest is running, and one writes at a time. Send it again later.",
                headers={"Retry-After": RETRY_AFTER},
            )
        feed = self._feed = Feed()
        work = asyncio.ensure_future(self._in("ingest", self._ingest, feed, schema))
        try:
            async for chunk in body:
                if not await feed.put(chunk):
                    break
            feed.end()
            return await work
        except BaseException:
            # Whatever ended it (the client has gone, it sent too much, the server stops): what came before is stored.
            feed.end("the request broke off")
            with contextlib.suppress(Exception):
                await asyncio.shield(work)
            raise
        finally:
            self._feed = None

    def _ingest(self, feed: Feed, schema: type[Schema] | None) -> bytes:
        rejects: list[dict[str, object]] = []

        def on_rejection(rejection: Rejection) -> None:
            self._metrics.rejection(rejection.code)
            if len(rejects) < SHOWN_REJECTS:
                rejects.append(dataclasses.asdict(rejection))

        policy = self.config.blob_policy
        files = policy.allow_files and bool(policy.roots)
        rows = Rows(
            json_lines(io.BufferedReader(feed, 2**16), "the request", self.config.max_body_bytes),
            policy.roots[0] if files else Path.cwd(),
        )
        try:
            report = self.shop.ingest(
                rows,
                schema=schema,
                # The working directory is always a root, and a server's is nobody's business.
                blob_policy=policy if files else dataclasses.replace(policy, allow_files=False),
                on_rejection=on_rejection,
            )
        finally:
            feed.leave()
        cut = report.rejected > len(rejects)
        return to_json({"report": report.to_dict(), "rejects": rejects, "rejects_cut": cut})

    # --- threads --------------------------------------------------------------------------------------------------

    async def _in(self, pool: str, work: Callable[..., T], *arguments: object) -> T:
        executor: Executor = self._pools[pool]
        return await asyncio.get_running_loop().run_in_executor(executor, work, *arguments)

    @contextlib.contextmanager
    def _timed(self, stage: Stage) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._metrics.stage(stage, time.perf_counter() - began)


def to_json(value: object) -> bytes:
    """JSON of anything that can be stored: what is not finite becomes null, dates text."""
    return pydantic_core.to_json(value, inf_nan_mode="null", fallback=str)
