"""Take in the site's stream: a Kafka record in, 2xx out once it is durable, `marquee.events.landed` behind it.

The target takes the request's own bytes, not a parsed CloudEvent: a record that happens to be JSON, or says it
is a structured CloudEvent, must come out of quarantine byte for byte as it went in.
"""

import asyncio
import atexit
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.ingest import core
from shared import bootstrap, failpoints, forgotten, telemetry
from shared.adapters.entrypoint import Once, body, function_app, problem, target
from shared.adapters.follow import Follower
from shared.adapters.kafka import LaterPublisher
from shared.errors import BadEvent, NotReady
from shared.events import EventsLanded
from shared.forgotten import Forgotten
from shared.rows import Row


@dataclass
class Ingest:
    """The deployed function: its dependencies, the groups that are on their way, and who shall be forgotten."""

    deps: bootstrap.Deps
    landed: LaterPublisher
    news: EventsLanded | None = None
    tells_at: float = float("-inf")

    def __post_init__(self) -> None:
        settings = self.deps.settings
        self.groups = core.GroupCommit(self.store, settings.group_max_rows, settings.group_writers)
        self.forgotten = Follower[Forgotten](
            "forgotten users",
            lambda _: forgotten.read(self.deps.objects),
            settings.channel_poll_seconds,
            forgotten.read(self.deps.objects),
        )
        atexit.register(self.close)

    def close(self) -> None:
        """Tell of what landed, though its second may not be over, as far as Kafka takes it, and leave Kafka."""
        self._tell()
        self.landed.close()

    async def store(self, rows: Sequence[Row]) -> None:
        """Make rows durable as one object, count them, and say so at most once a second."""
        with telemetry.GROUP_SECONDS.time():
            key = await asyncio.to_thread(self._put, rows)
        telemetry.GROUP_ROWS.observe(len(rows))
        for row in rows:
            telemetry.INGESTED.labels(row.kind).inc()
            if row.reason:
                telemetry.QUARANTINED.labels(row.reason).inc()
        if self.news is None:
            loop = asyncio.get_running_loop()
            self.tells_at = max(loop.time(), self.tells_at + 1)
            loop.call_at(self.tells_at, self._tell)
        self.news = EventsLanded(key, len(rows))

    def _tell(self) -> None:
        """Publish the newest group: `fold_lake` folds all that landed before it too."""
        if self.news is not None:
            self.landed.publish(self.news, key="landed")
        self.news = None

    def _put(self, rows: Sequence[Row]) -> str:
        key, data = core.landing_object(rows)
        failpoints.reach("ingest.before_put")
        self.deps.objects.put(key, data)
        failpoints.reach("ingest.after_put")
        return key


def connect() -> Ingest:
    """Connect to the bucket and, in the background, to Kafka."""
    deps = bootstrap.build("ingest")
    return Ingest(deps, LaterPublisher(deps.publisher))


ingest = Once(connect)


async def receive(request: Request) -> Response:
    """Answer 204 when the record is durable, 503 when the store is away, 400 when it is no delivery.

    A record of somebody who asked to be forgotten is answered 204, and is stored nowhere.
    """
    try:
        function = await ingest()
        at = core.place(request.path_params["topic"], request.headers, function.deps.now_us())
        row = core.row(await body(request), at, function.deps.settings.limits)
        if function.forgotten.get().holds(row):
            telemetry.FORGOTTEN.inc()
        else:
            await function.groups.add(row)
    except BadEvent as error:
        return problem(400, str(error))
    except NotReady as error:
        return problem(503, str(error))
    failpoints.reach("ingest.before_answer")
    return Response(status_code=204)


app = function_app(ingest, [Route("/{topic}", receive, methods=["POST"])])

main = target(app)
