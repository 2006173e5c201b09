"""Run every source of a file: `python -m infra.local.event_source SOURCES --port N`."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import aiohttp
import structlog
import typer
import uvloop
from aiohttp import web
from kafka import KafkaProducer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from infra.local.event_source import config, ping_source
from infra.local.event_source.delivery import DeadLetters, HttpDeadLetters, KafkaDeadLetters, deliver, post
from infra.local.event_source.kafka_source import Source
from infra.local.event_source.message import Message
from infra.local.machine import LARGEST_BYTES
from shared.adapters.kafka_connection import connection
from shared.errors import BadSettings
from shared.settings import Settings

_IDLE_SECONDS: Final = 1.0
"""How long a connection is kept for the next event: a function's server closes it after 2 s, also as one is sent."""

log = structlog.get_logger()


def main(
    sources: Annotated[Path, typer.Argument(help="YAML of KafkaSources, PingSources and KafkaSinks")],
    host: Annotated[str, typer.Option(help="the address at which /health and /metrics are answered")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="and the port")] = 8150,
    silent_seconds: Annotated[
        float, typer.Option(help="a source joins its consumer group anew that has sent it no heartbeat for so long")
    ] = 30.0,
) -> None:
    """Deliver Kafka records and ticks as CloudEvents over HTTP, as Knative's sources do."""
    try:
        loaded, settings = config.load(sources), Settings.from_env(os.environ)
        connection(settings)
    except BadSettings as error:
        raise SystemExit(str(error)) from None
    uvloop.run(run(loaded, settings, host, port, silent_seconds))


async def run(sources: config.Sources, settings: Settings, host: str, port: int, silent_seconds: float) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        letters = _Letters(http, settings, sources.sink_topics)
        stack.callback(letters.close)
        running = []
        for spec in sources.kafka:
            send = partial(_deliver, http=http, spec=spec, letters=letters.of(spec.spec.delivery))
            running.append(Source(spec, settings, send, silent_seconds))
        pings = [ping_source.run(spec, partial(_tick, http, spec)) for spec in sources.pings]
        tasks = [asyncio.create_task(each) for each in (*(source.run() for source in running), *pings)]
        server = await _serve(running, host, port)
        stack.push_async_callback(server.cleanup)
        stopping = asyncio.ensure_future(stop.wait())
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if task in done:
                task.result()  # a source never ends by itself: raise what ended it


async def _deliver(
    message: Message, http: aiohttp.ClientSession, spec: config.KafkaSource, letters: DeadLetters
) -> None:
    await deliver(http, spec.spec.sink.uri or "", message, spec.spec.delivery, letters, spec.metadata.name)


async def _tick(http: aiohttp.ClientSession, spec: config.PingSource, message: Message) -> None:
    await post(http, spec.spec.sink.uri or "", message, 600, spec.metadata.name)


class _Letters:
    """The dead letter sinks, with one producer for all that are topics."""

    def __init__(self, http: aiohttp.ClientSession, settings: Settings, topics: dict[str, str]) -> None:
        self._http = http
        self._settings = settings
        self._topics = topics
        self._producer: KafkaProducer | None = None

    def of(self, delivery: config.Delivery) -> DeadLetters:
        """Return the dead letter sink of a source."""
        sink = delivery.dead_letter_sink
        if sink.ref is None:
            return HttpDeadLetters(self._http, sink.uri or "", delivery.timeout.total_seconds())
        self._producer = self._producer or KafkaProducer(
            **connection(self._settings),
            acks="all",
            enable_idempotence=False,  # an idempotent one may send nothing more, ever, once Kafka was away for long
            compression_type="gzip",
            max_request_size=LARGEST_BYTES,
        )
        return KafkaDeadLetters(self._producer, self._topics[sink.ref.name])

    def close(self) -> None:
        """Leave Kafka."""
        if self._producer is not None:
            self._producer.close(timeout=5)


async def _serve(sources: list[Source], host: str, port: int) -> web.AppRunner:
    async def health(_: web.Request) -> web.Response:
        late = [source.name for source in sources if not source.is_reading]
        return web.Response(text=f"not reading: {late}\n" if late else "reading\n", status=503 if late else 200)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/health/readiness", health), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


if __name__ == "__main__":
    typer.run(main)
