"""A constant rate: requests are sent by the clock, however late the answers are.

A latency counts from the moment at which the request was due, not from the one at which it could be sent: waiting for
a free connection, or for this process's turn, is part of it. So a server that stalls cannot slow down those who ask
(no coordinated omission). No load generator in the package registries does this: wrk and hey are closed loops whose
workers wait for their answers, and autocannon corrects its histogram afterwards.

It runs in a process of its own (ml.bench.apart), imports little and collects no garbage meanwhile.
"""

import asyncio
import gc
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from app.bench.load import HOST, Load, Target, percentile, spoken_in

# Requests under way at most; beyond, they wait their turn here, and the wait counts.
MOST_CONNECTIONS: Final = 512
# After the last request; what has no answer then is an error.
DRAIN_SECONDS: Final = 10.0

Connection: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def constant_rate(target: Target, *, requests_per_second: float, seconds: float) -> Load:
    """Ask at this rate for so long, then wait for the answers for DRAIN_SECONDS at most."""
    gc.disable()
    return asyncio.run(_ask(target, requests_per_second=requests_per_second, seconds=seconds))


@dataclass
class _Asking:
    """One load under way. latencies: seconds of each request, whatever became of it. answered_at: the last one."""

    target: Target
    payloads: tuple[bytes, ...]
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_CONNECTIONS))
    idle: list[Connection] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    answered: int = 0
    answered_at: float = 0.0
    sentences: int = 0
    tokens: int = 0

    async def ask(self, number: int, due_at: float) -> None:
        """Send one request and note what it took. One that is cancelled has taken as long as it waited."""
        body = None
        loop = asyncio.get_running_loop()
        try:
            async with self.room:
                body = await self._exchange(self.payloads[number % len(self.payloads)])
        finally:
            now = loop.time()
            self.latencies.append(now - due_at)
        if body is not None:
            sentences, tokens = spoken_in(body)
            self.answered, self.answered_at = self.answered + 1, now
            self.sentences, self.tokens = self.sentences + sentences, self.tokens + tokens

    async def _exchange(self, payload: bytes) -> bytes | None:
        """The body of an answer with status 200, else None. A connection that broke is not used again."""
        try:
            connection = await self._connection()
        except OSError:
            return None
        reader, writer = connection
        try:
            writer.write(payload)
            body = await _read_answer(reader)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            writer.close()
            return None
        except asyncio.CancelledError:
            writer.close()
            raise
        self.idle.append(connection)
        return body

    async def _connection(self) -> Connection:
        """The connection that was used last, which the server is least likely to have closed, or a new one."""
        while self.idle:
            reader, writer = self.idle.pop()
            if not (reader.at_eof() or writer.is_closing()):
                return reader, writer
            writer.close()
        return await asyncio.open_connection(HOST, self.target.port)

    def close(self) -> None:
        for _, writer in self.idle:
            writer.close()


async def _ask(target: Target, *, requests_per_second: float, seconds: float) -> Load:
    asking = _Asking(target, tuple(_payload(target, path) for path in target.paths))
    loop = asyncio.get_running_loop()
    count = max(1, round(requests_per_second * seconds))
    began_at = loop.time()
    tasks = []
    for number in range(count):
        due_at = began_at + number / requests_per_second
        # Also when it is late: what was begun has to get its turn.
        await asyncio.sleep(max(0.0, due_at - loop.time()))
        tasks.append(asyncio.create_task(asking.ask(number, due_at)))
    _, unanswered = await asyncio.wait(tasks, timeout=DRAIN_SECONDS)
    for task in unanswered:
        task.cancel()
    await asyncio.gather(*unanswered, return_exceptions=True)
    asking.close()
    return Load(
        # An answer that came while draining makes the time longer over which answers are counted.
        seconds=max(count / requests_per_second, asking.answered_at - began_at),
        answered=asking.answered,
        errors=count - asking.answered,
        p50_ms=percentile(asking.latencies, 0.5) * 1e3 if asking.answered else None,
        p99_ms=percentile(asking.latencies, 0.99) * 1e3 if asking.answered else None,
        sentences=asking.sentences,
        tokens=asking.tokens,
    )


def _payload(target: Target, path: str) -> bytes:
    body = target.body.encode()
    headers = {"Host": f"{HOST}:{target.port}", "Content-Length": str(len(body))} | target.headers
    lines = [f"{target.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


async def _read_answer(reader: asyncio.StreamReader) -> bytes | None:
    """Read one answer whole; its body if its status is 200. Raises ValueError for one of no stated length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *fields = head.split("\r\n")
    named = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    body = await reader.readexactly(int(named.get("content-length", "")))
    return body if status.split(" ", 2)[1] == "200" else None
