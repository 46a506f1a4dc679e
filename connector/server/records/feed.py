"""A request's body as a file that another thread reads: whoever sends faster than it is stored has to wait."""

from __future__ import annotations

import asyncio
import collections
import io
import threading

from typing_extensions import Buffer

AHEAD = 4 * 2**20  # bytes that may wait to be read


class Feed(io.RawIOBase):
    """Bytes put in on the event loop, read blockingly in a thread. Not seekable, and gone when read."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._chunks: collections.deque[memoryview] = collections.deque()
        self._held = 0
        self._ended = False
        self._broken: str | None = None
        self._left = False
        self._changed = threading.Condition()

    async def put(self, chunk: bytes) -> bool:
        """Add bytes, waiting for room; False when nobody reads any more."""
        while True:
            with self._changed:
                if self._left:
                    return False
                if self._held <= AHEAD:
                    if chunk:
                        self._chunks.append(memoryview(chunk))
                        self._held += len(chunk)
                        self._changed.notify()
                    return True
                self._room.clear()
            await self._room.wait()

    def end(self, broken: str | None = None) -> None:
        """No more will come; `broken` says why, where that is not the body's proper end."""
        with self._changed:
            if not self._ended:
                self._ended, self._broken = True, broken
            self._changed.notify()

    def leave(self) -> None:
        """Nobody wants to read any more, and whoever still does is told that it broke off."""
        with self._changed:
            self._left = self._ended = True
            self._broken = self._broken or "nobody reads it any more"
            self._chunks.clear()
            self._changed.notify_all()
        self._tell_of_room()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Wait for bytes and take some; 0 at the end.

        Raises:
            OSError: the body broke off.
        """
        target = memoryview(buffer)
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._ended)
            if not self._chunks:
                if self._broken is not None:
                    raise OSError(self._broken)
                return 0
            chunk = self._chunks.popleft()
            size = min(len(chunk), len(target))
            target[:size] = chunk[:size]
            if size < len(chunk):
                self._chunks.appendleft(chunk[size:])
            self._held -= size
        self._tell_of_room()
        return size

    def _tell_of_room(self) -> None:
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._room.set)
