"""One event to its sink: tried again while that may help, then put among the dead letters, never lost."""

import asyncio
from typing import Any, Final, NamedTuple, Protocol

import aiohttp
import structlog
from kafka.errors import MessageSizeTooLargeError
from prometheus_client import Counter, Histogram
from tenacity import AsyncRetrying, retry_if_result, stop_after_attempt, wait_exponential

from infra.local.event_source.config import Delivery
from infra.local.event_source.message import Message, dead_letter, to_record

DELIVERED: Final = Counter(
    "marquee_source_deliveries_total", "POSTs to sinks, by source and status", ["source", "status"]
)
SETTLED: Final = Counter("marquee_source_settled_total", "Events settled, by how", ["source", "how"])
SECONDS: Final = Histogram("marquee_source_settle_seconds", "Seconds from reading a record to its settling", ["source"])

_AGAIN: Final = {404, 408, 409, 429}
_LONGEST_SECONDS: Final = 3600
_CUT_BYTES: Final = 100_000
_CUT_HEADER_BYTES: Final = 2_000
_CUT_HEADERS: Final = 100
_KNATIVE: Final = ("kafkapartition", "kafkaoffset", "errordest", "errorcode", "errordata")
_TELLING: Final = {"ce_id", "ce_source", "ce_type", *(f"ce_knative{name}" for name in _KNATIVE)}
_NO_HEADERS_OF_ITS_OWN: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

Headers = list[tuple[str, bytes]]

log = structlog.get_logger()


class Answer(NamedTuple):
    """What a sink said: its status, None if it could not be reached, and the beginning of its body."""

    status: int | None
    body: bytes = b""

    @property
    def is_done(self) -> bool:
        """Whether the event was taken."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def may_be_tried_again(self) -> bool:
        """Whether another attempt may end better; what a sink refuses outright, it will refuse again."""
        return self.status is None or self.status >= 500 or self.status in _AGAIN


class DeadLetters(Protocol):
    """Where events go that could not be delivered."""

    async def put(self, message: Message) -> None:
        """Keep an event; raise whatever keeps it from being kept."""


async def post(http: aiohttp.ClientSession, uri: str, message: Message, seconds: float, source: str) -> Answer:
    """POST an event once."""
    try:
        async with http.post(
            uri,
            data=message.body,
            headers=message.headers,
            timeout=aiohttp.ClientTimeout(total=seconds),
            skip_auto_headers=_NO_HEADERS_OF_ITS_OWN,
            allow_redirects=False,
            middlewares=() if message.body is not None else (_without_length,),
        ) as response:
            answer = Answer(response.status, await response.content.read(1024))
    except (aiohttp.ClientError, TimeoutError) as error:
        log.warning("sink_unreachable", sink=uri, reason=f"{type(error).__name__}: {error}"[:200])
        answer = Answer(None)
    DELIVERED.labels(source, str(answer.status or "unreachable")).inc()
    return answer


async def deliver(
    http: aiohttp.ClientSession, uri: str, message: Message, delivery: Delivery, letters: DeadLetters, source: str
) -> None:
    """Return when the sink has taken the event or the dead letters have."""
    delay = delivery.backoff_delay.total_seconds()
    attempts = AsyncRetrying(
        retry=retry_if_result(lambda answer: not answer.is_done and answer.may_be_tried_again),
        stop=stop_after_attempt(delivery.retry + 1),
        wait=wait_exponential(multiplier=delay, max=_LONGEST_SECONDS),
        retry_error_callback=lambda state: state.outcome.result(),  # type: ignore[union-attr]
    )
    answer: Answer = await attempts(post, http, uri, message, delivery.timeout.total_seconds(), source)
    if answer.is_done:
        SETTLED.labels(source, "delivered").inc()
        return
    log.warning("dead_letter", source=source, sink=uri, status=answer.status, event_id=message.headers.get("ce-id"))
    until_kept = AsyncRetrying(wait=wait_exponential(multiplier=delay, max=30), before_sleep=_not_kept)
    await until_kept(letters.put, dead_letter(message, uri, answer.status, answer.body))
    SETTLED.labels(source, "dead_letter").inc()


async def _without_length(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
    """Send a tombstone as a request without a body, not as one with an empty body."""
    request.headers.pop("Content-Length", None)
    response: aiohttp.ClientResponse = await handler(request)
    return response


def _not_kept(state: Any) -> None:
    log.warning("dead_letter_not_kept", reason=repr(state.outcome.exception()), next_in_seconds=state.next_action.sleep)


class HttpDeadLetters(NamedTuple):
    """Dead letters to a URI."""

    http: aiohttp.ClientSession
    uri: str
    seconds: float

    async def put(self, message: Message) -> None:
        """POST the event; raise if the answer is not 2xx."""
        answer = await post(self.http, self.uri, message, self.seconds, "dead-letters")
        if not answer.is_done:
            raise ConnectionError(f"{self.uri} answered {answer.status}")


class KafkaDeadLetters(NamedTuple):
    """Dead letters to a topic, through a ready producer."""

    producer: Any
    topic: str

    async def put(self, message: Message) -> None:
        """Write the event and wait until Kafka has it."""
        await asyncio.to_thread(self._put, message)

    def _put(self, message: Message) -> None:
        value, headers = to_record(message)
        try:
            self._send(value, headers)
        except MessageSizeTooLargeError:
            # It will not get smaller: what fits is kept, and says where the rest is.
            log.warning("dead_letter_cut", n_bytes=len(value or b""), event_id=message.headers.get("ce-id", "")[:80])
            self._send((value or b"")[:_CUT_BYTES], [*_cut(headers), *_sizes(value, headers)])

    def _send(self, value: bytes | None, headers: Headers) -> None:
        self.producer.send(self.topic, value=value, headers=headers).get(timeout=30)


def _cut(headers: Headers) -> Headers:
    """Return headers that fit into any topic, those first that tell which record it was and what went wrong."""
    short = [(name, value[:_CUT_HEADER_BYTES]) for name, value in headers if len(name) <= _CUT_HEADER_BYTES]
    return sorted(short, key=lambda header: header[0] not in _TELLING)[:_CUT_HEADERS]


def _sizes(value: bytes | None, headers: Headers) -> Headers:
    size = sum(len(name) + len(text) for name, text in headers)
    return [("cut", str(len(value or b"")).encode()), ("cutheaders", str(size).encode())]
