import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import prometheus_client
import pytest

from functions.recommend import core, kept
from shared import keys, telemetry, titles
from shared.channels import Channels
from shared.experiment import Change, Experiment, noted
from shared.ports import Target
from shared.settings import Settings
from tests import entry, fakes
from tests.unit.functions.recommend.score import POPULAR, Score, paused, serving

DEAD = "http://127.0.0.1:1"
WEIGHTS = {"svd": 50, "svdpp": 50}
HEDGE_MS = 150
PATIENT_MS = 9_000  # no machine is so busy that a model looks slow
HASTY = {"hedge_ms": HEDGE_MS}
IN_TIME = HASTY | {"deadline_ms": 2_000, "reserve_ms": 1_000}  # a second for what is done after the models' time


def user_of(algorithm: str, number: int = 0) -> str:
    """Return one of the users whose own model is of an algorithm."""
    users = [user for user in map(str, range(1, 60)) if core.deal(user, "marquee", WEIGHTS) == algorithm]
    return users[number]


SVD, SVDPP = user_of("svd"), user_of("svdpp")


@pytest.fixture
def svd():
    with serving(Score("svd")) as score:
        yield score


@pytest.fixture
def svdpp():
    with serving(Score("svdpp")) as score:
        yield score


@pytest.fixture
def deps(tmp_path, svd, svdpp):
    return fakes.deps(
        tmp_path,
        score_svd_url=svd.url,
        score_svdpp_url=svdpp.url,
        channel_poll_seconds="60",
        hedge_ms=str(PATIENT_MS),
        deadline_ms="20000",
    )


@pytest.fixture
def store(deps):
    return deps.objects


def changed(deps, **settings):
    """Return the dependencies with other settings."""
    return dataclasses.replace(deps, settings=Settings.model_validate(deps.settings.model_dump() | settings))


@contextmanager
def recommending(deps, monkeypatch):
    """Run recommend for the length of a block, and leave no connection open."""
    with entry.client("recommend", deps, monkeypatch) as client:
        function = sys.modules["main"].function
        try:
            yield client
        finally:
            client.portal.call(close, function)


async def close(function):
    await (await function()).models.http.close()


@pytest.fixture
def http(deps, monkeypatch):
    with recommending(deps, monkeypatch) as client:
        yield client


@pytest.fixture
def following(client):
    """Return a client of a recommend that looks for news all the time; the others look once, when they start."""
    return client(channel_poll_seconds=0.1)


@pytest.fixture
def client(deps, monkeypatch):
    """Return what makes a client of recommend with some settings changed."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(recommending(changed(deps, **settings), monkeypatch))


def until(done: Callable[[], bool]) -> None:
    """Return once something that is followed has arrived."""
    deadline = time.monotonic() + 5
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def timed(http, path, **more):
    """Return an answer and how many seconds it took, once the function is ready."""
    http.get("/health/readiness")
    started = time.perf_counter()
    answer = http.get(path, **more)
    return answer, time.perf_counter() - started


def model(answer) -> str:
    return answer.headers["x-marquee-model"]


def test_a_known_user_gets_personal_movies_as_plain_text(http):
    """One line of ids, and headers that say what made it."""
    answer = http.get(f"/recommend/{SVD}")
    assert (answer.status_code, answer.text) == (200, "x,y\n")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-marquee-rung"] == "personal"
    assert model(answer) == "svd@v1"
    assert answer.headers["x-marquee-revision"] == "r1"
    assert answer.headers["x-marquee-arm"] == "svd:stable"
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers


def test_each_user_is_answered_by_the_own_model(http):
    """The arm that the headers name is the one whose model answers."""
    answers = [http.get(f"/recommend/{user}") for user in (SVD, SVDPP)]
    assert [(each.headers["x-marquee-arm"], model(each)) for each in answers] == [
        ("svd:stable", "svd@v1"),
        ("svdpp:stable", "svdpp@v1"),
    ]


def test_json_when_asked_for(http):
    """The same facts as in the headers, and what the movies are called."""
    answer = http.get(f"/recommend/{SVD}", headers={"accept": "application/json", "x-request-id": "abc"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "user_id": SVD,
        "movies": ["x", "y"],
        "titles": ["x", "y"],
        "model": model(answer),
        "revision": answer.headers["x-marquee-revision"],
        "rung": answer.headers["x-marquee-rung"],
        "arm": answer.headers["x-marquee-arm"],
        "request_id": "abc",
    }
    assert answer.headers["x-request-id"] == "abc"


def test_head_is_get_without_the_list(http):
    """The same headers, the length too."""
    head, get = http.head(f"/recommend/{SVD}"), http.get(f"/recommend/{SVD}")
    assert (head.status_code, head.headers["content-length"]) == (200, get.headers["content-length"])
    assert head.headers["x-marquee-model"] == get.headers["x-marquee-model"]


def titles_of(http) -> list[str]:
    return http.get(f"/recommend/{SVD}", headers={"accept": "application/json"}).json()["titles"]


def test_titles_come_from_the_catalogue_and_else_from_the_ids(client, store, svd, monkeypatch):
    """A catalogue is noticed; what it lacks is derived; one that is away or wrong changes nothing."""
    monkeypatch.setattr(kept, "_POLLS_OF_TITLES", 1)
    http = client(channel_poll_seconds=0.1)
    svd.wrong = {"movies": ["toy+story+1995", "x"]}
    assert titles_of(http) == ["Toy Story (1995)", "x"]
    store.put(keys.TITLES, titles.encode({"x": "The X"}))
    until(lambda: titles_of(http) == ["Toy Story (1995)", "The X"])
    store.put(keys.TITLES, b'{"x": 7}')
    time.sleep(0.3)
    store.down = True
    time.sleep(0.3)
    assert titles_of(http) == ["Toy Story (1995)", "The X"]


# How the users are shared between the algorithms


def weigh(store, percent: int) -> None:
    change = Change(at=1, svd_percent=percent, who="ann", why="w")
    Channels(store).revise(keys.EXPERIMENT_CHANNEL, Experiment, lambda before: noted(before, change))


def dealt(http) -> list[str]:
    """Return the algorithm of each of some users."""
    answers = [http.get(f"/recommend/{user}") for user in range(1, 41)]
    return [answer.headers["x-marquee-arm"].partition(":")[0] for answer in answers]


def test_a_moved_weight_moves_the_users_that_it_must_and_no_others(following, store):
    """Whoever moves goes to the algorithm that grew, and comes back when the weight does."""
    before = dealt(following)
    weigh(store, 75)
    until(lambda: dealt(following) != before)
    moved = [new for old, new in zip(before, dealt(following), strict=True) if old != new]
    assert set(moved) == {"svd"}
    assert len(moved) < before.count("svdpp")
    weigh(store, 50)
    until(lambda: dealt(following) == before)


def test_until_the_channel_says_something_the_setting_holds(client, store):
    """Also once what it says cannot be read."""
    http = client(score_svd_weight=100, channel_poll_seconds=0.1)
    assert set(dealt(http)) == {"svd"}
    weigh(store, 0)
    until(lambda: set(dealt(http)) == {"svdpp"})
    store.put(keys.channel(keys.EXPERIMENT_CHANNEL), b'{"log": [')
    until(lambda: set(dealt(http)) == {"svd"})


def test_a_store_that_is_away_leaves_the_weight_as_it_was(following, store):
    """The setting would move users for no reason."""
    weigh(store, 0)
    until(lambda: set(dealt(following)) == {"svdpp"})
    store.down = True
    time.sleep(0.3)
    assert set(dealt(following)) == {"svdpp"}


# What models do to an answer


@pytest.mark.parametrize("own", ["svd", "svdpp"])
def test_a_dead_model_costs_its_users_neither_time_nor_the_personal_list(client, own):
    """A refused connection asks the other model at once, not after the hedge."""
    http = client(**{f"score_{own}_url": DEAD})
    answer, seconds = timed(http, f"/recommend/{user_of(own)}")
    assert (answer.headers["x-marquee-rung"], model(answer)) == ("personal", f"{({'svd', 'svdpp'} - {own}).pop()}@v1")
    assert answer.headers["x-marquee-arm"] == f"{own}:stable"
    assert seconds < PATIENT_MS / 1000


@pytest.mark.parametrize(
    "wrong",
    [
        *(b"not json", b"null", b"[]", b'{"movies": null}', b""),
        *({"movies": []}, {"rung": "guessed"}, {"movies": [7]}, {"scores": [None, 1.0]}),
        *({"model": "svd@v1\r\nx-evil: 1"}, {"model": "svd@é"}, {"revision": ""}),
    ],
)
def test_nonsense_of_a_model_is_no_answer(http, svd, wrong):
    """What breaks the contract, an empty list too, goes to nobody: the other model is asked."""
    svd.wrong = wrong
    answer = http.get(f"/recommend/{SVD}")
    assert (answer.status_code, model(answer)) == (200, "svdpp@v1")
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_model_that_does_not_know_or_fails_passes_the_user_on(http, svd, status):
    """The two models may stand on different matrices, so the other is asked, whatever the first one lacks."""
    svd.status = status
    answer = http.get(f"/recommend/{SVD}")
    assert (answer.headers["x-marquee-rung"], model(answer)) == ("personal", "svdpp@v1")


def test_a_slow_model_is_hedged(client, svd, svdpp):
    """After the hedge the other model is asked as well, and answers."""
    svd.seconds = 3.0
    answer, seconds = timed(client(**HASTY), f"/recommend/{SVD}")
    assert model(answer) == "svdpp@v1"
    assert seconds >= HEDGE_MS / 1000
    assert len(svdpp.asked) == 1


def test_a_quick_model_is_asked_alone(http, svdpp):
    """Hedging costs nothing while all is well."""
    for number in range(5):
        http.get(f"/recommend/{user_of('svd', number)}")
    assert svdpp.asked == []


def test_a_paused_model_is_soon_spared(client):
    """Its users wait for the hedge five times, then get the other model's list at once."""
    with paused() as url:
        http = client(score_svd_url=url, hedge_ms=500)
        took = []
        for number in range(8):
            answer, seconds = timed(http, f"/recommend/{user_of('svd', number)}")
            assert model(answer) == "svdpp@v1"
            took.append(seconds)
    assert min(took[:5]) >= 0.5
    assert max(took[5:]) < 0.5


def test_a_model_that_is_back_gets_its_users_back(http, svd):
    """A second after it failed for the last time it is tried, and answers again."""
    svd.status = 500
    for number in range(7):
        http.get(f"/recommend/{user_of('svd', number)}")
    assert len(svd.asked) == 5
    svd.status = 200
    assert model(http.get(f"/recommend/{SVD}")) == "svdpp@v1"
    until(lambda: model(http.get(f"/recommend/{SVD}")) == "svd@v1")
    assert model(http.get(f"/recommend/{SVD}")) == "svd@v1"


def test_unknown_users_are_no_failures_of_a_model(http, svd):
    """A model that says it does not know is well, however often."""
    svd.status = 404
    for number in range(8):
        http.get(f"/recommend/{user_of('svd', number)}")
    assert len(svd.asked) == 8


@pytest.mark.parametrize("trouble", ["slow", "paused", "dead", "failing", "unknown"])
def test_when_no_model_helps_there_is_a_list_in_time(client, svd, svdpp, trouble):
    """Whatever happens to both models, 200 with popular movies within the deadline."""
    with paused() as silent:
        urls = {"paused": silent, "dead": DEAD}.get(trouble)
        http = client(**IN_TIME, **({f"score_{name}_url": urls for name in WEIGHTS} if urls else {}))
        for score in (svd, svdpp):
            score.status = {"failing": 500, "unknown": 404}.get(trouble, 200)
            score.seconds = 3.0 if trouble == "slow" else 0.0
        answer, seconds = timed(http, f"/recommend/{SVD}?n=5")
    assert (answer.status_code, answer.headers["x-marquee-rung"]) == (200, "popular")
    assert len(answer.text.strip().split(",")) == 5
    assert answer.headers["x-marquee-revision"] == "local"
    assert seconds < IN_TIME["deadline_ms"] / 1000


def test_failures_are_counted_by_arm_and_reason(client, svd):
    """So that an alert can say which model it is, and whether it errs or lags."""

    def counted(reason: str) -> float:
        labels = {"arm": "svd:stable", "reason": reason}
        return prometheus_client.REGISTRY.get_sample_value("marquee_recommend_score_failures_total", labels) or 0

    http = client(**HASTY)
    errors, lags = counted("error"), counted("late")
    svd.status = 500
    http.get(f"/recommend/{SVD}")
    svd.status, svd.seconds = 200, 0.3
    http.get(f"/recommend/{SVD}")
    until(lambda: (counted("error"), counted("late")) == (errors + 1, lags + 1))


def test_n_and_exclude_reach_the_model(http, svd):
    """The model leaves out what is excluded, so that the list keeps its length."""
    http.get(f"/recommend/{SVD}?n=7&exclude=a,toy%2Bstory")
    assert svd.asked == [f"/top/{SVD}?n=7&exclude=a,toy%2Bstory"]


# Who is dealt which revision


@pytest.fixture
def router(monkeypatch):
    """A router that can be told what to say, in place of the one of the settings."""

    class Router:
        says: Callable[[str], list[Target]]

        def targets(self, service: str) -> list[Target]:
            return self.says(service)

    router = Router()
    monkeypatch.setattr(kept.bootstrap, "traffic", lambda *_: router)
    return router


def arm(http) -> str:
    return http.get(f"/recommend/{SVD}").headers["x-marquee-arm"]


def test_revisions_follow_the_router_and_are_asked_by_their_own_address(following, router, svd, svdpp):
    """Of a canary with all traffic the users learn within moments; the request has the Host that it needs."""
    router.says = lambda service: [
        Target(f"{service}-1", "stable", 0, svd.url),
        Target(f"{service}-2", "canary", 100, svdpp.url, f"canary-{service}"),
    ]
    until(lambda: arm(following) == "svd:canary")
    svdpp.hosts.clear()
    assert model(following.get(f"/recommend/{SVD}")) == "svdpp@v1"
    assert "canary-score-svd" in svdpp.hosts


def test_a_router_that_is_away_or_has_no_traffic_leaves_what_was(following, router, svd):
    """Before its first word the configured address is asked, and later the last known targets."""

    def away(_: str) -> list[Target]:
        raise OSError("away")

    router.says = away
    assert arm(following) == "svd:stable"
    router.says = lambda service: [Target("r", "canary", 100, svd.url)]
    until(lambda: arm(following) == "svd:canary")
    for says in (away, lambda _: [Target("r", "stable", 0, DEAD)], lambda _: []):
        router.says = says
        time.sleep(0.3)
        assert arm(following) == "svd:canary"


# What everybody likes


def popular(http, query: str = "") -> str:
    answer = http.get(f"/recommend/{SVD}{query}")
    assert answer.headers["x-marquee-rung"] == "popular"
    return answer.text.strip()


@pytest.fixture
def unknown(svd, svdpp):
    """No model knows any user."""
    svd.status = svdpp.status = 404


def test_popular_movies_follow_a_model(following, unknown, svd):
    """What svd's service says is popular answers, also after a change, and the headers say by what."""
    until(lambda: popular(following, "?n=2") == "p0,p1")
    assert model(following.get(f"/recommend/{SVD}")) == "svd@v1"
    svd.popular = ["q0"]
    until(lambda: popular(following) == "q0")
    assert popular(following, "?exclude=q0") == "q0"


def test_an_empty_popular_list_takes_no_place(following, unknown, svd, svdpp):
    """A model without one changes nothing; the other's counts."""
    svd.popular = []
    svdpp.popular = ["r0", "r1"]
    until(lambda: popular(following) == "r0,r1")
    svdpp.popular = []
    time.sleep(0.3)
    assert popular(following) == "r0,r1"


def test_from_its_first_second_there_is_a_list_though_everything_is_away(client, deps):
    """Store, router and every model down and nothing on disk: the packaged list, at once."""
    with paused() as silent:
        http = client(**IN_TIME, score_svd_url=silent, score_svdpp_url=silent, router="envoy", router_url=silent)
        deps.objects.down = True
        started = time.perf_counter()
        answer = http.get(f"/recommend/{SVD}?n=3")
        seconds = time.perf_counter() - started
    assert (answer.status_code, model(answer)) == (200, "popular@none")
    assert seconds < IN_TIME["deadline_ms"] / 1000


def test_the_last_known_list_outlives_the_process(client, unknown, tmp_path):
    """It is on disk: the next process answers from it though no model does."""
    copy = tmp_path / "popular.json"
    http = client(popular_file=copy)
    until(lambda: popular(http, "?n=2") == "p0,p1")
    until(copy.exists)
    again = client(popular_file=copy, score_svd_url=DEAD, score_svdpp_url=DEAD)
    assert popular(again) == ",".join(POPULAR[:20])
    assert [path.name for path in tmp_path.iterdir()] == ["popular.json"]


@pytest.mark.parametrize("stored", [b"", b"{", b'{"movies": [], "model": "m"}', b'{"movies": [7], "model": "m"}'])
def test_a_copy_that_cannot_be_read_is_not_used(client, tmp_path, stored):
    """The packaged list is better than an empty one."""
    copy = tmp_path / "popular.json"
    copy.write_bytes(stored)
    http = client(popular_file=copy, score_svd_url=DEAD, score_svdpp_url=DEAD)
    assert len(popular(http).split(",")) == 20


def test_a_disk_that_cannot_be_written_costs_no_list(client, unknown, tmp_path):
    """The new list is in memory all the same."""
    http = client(popular_file=tmp_path / "no folder" / "popular.json")
    until(lambda: popular(http, "?n=1") == "p0")


def test_a_crowd_gets_lists_at_once(client, svd, svdpp):
    """Of forty who come together four are answered by models; the others get popular movies and wait for nobody."""
    svd.seconds = svdpp.seconds = 0.4
    http = client(in_flight_most=4, deadline_ms=5_000, hedge_ms=4_000)
    http.get("/health/readiness")
    before = telemetry.OVERLOADED._value.get()
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda user: http.get(f"/recommend/{user}"), range(1, 41)))
    rungs = Counter(each.headers["x-marquee-rung"] for each in answers)
    assert {each.status_code for each in answers} == {200}
    assert rungs["personal"] == len(svd.asked) + len(svdpp.asked) < 40
    assert telemetry.OVERLOADED._value.get() - before == rungs["popular"] > 0
    assert http.get("/recommend/1").headers["x-marquee-rung"] == "personal"


# What makes no sense, and what is put on record


@pytest.mark.parametrize(
    "path",
    [
        *("/recommend/0", "/recommend/-1", "/recommend/abc", "/recommend/%D9%A1%D9%A2", "/recommend/1e9"),
        *("/recommend/%2e%2e%2f", "/recommend/1/2", "/recommend/", f"/recommend/{'9' * 10_000}"),
        *("/recommend/1?n=0", "/recommend/1?n=5&n=6", "/recommend/1?exclude=../x"),
        *("/recommend/%0A4", "/recommend/4%0A", "/recommend/%0A/x"),
        *("/explain/0/x", "/explain/1/a%20b", "/explain/1/%0A", "/explain/1/a/b", "/explain//x", "/explain/1/"),
    ],
)
def test_what_makes_no_sense_is_400_with_a_reason(http, path):
    """problem+json, with the request's id, and nothing else ever gets less than a list."""
    http.get("/health/readiness")
    answer = http.get(path, headers={"x-request-id": "me"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert answer.headers["x-request-id"] == "me"


def is_told(answer) -> bool:
    """Say whether a refusal is problem+json with a reason, for a request that was called `me`."""
    is_problem = answer.headers["content-type"] == "application/problem+json" and answer.headers["x-request-id"] == "me"
    return is_problem and bool(answer.json()["detail"])


@pytest.mark.parametrize("method", ["GET", "POST", "BREW"])
@pytest.mark.parametrize(
    "path", ["/", "/recommend", "/explain/1", "/nowhere", "/no%0Awhere", "/robots.txt", "/favicon.ico", "//", "/health"]
)
def test_what_is_nowhere_is_404(http, method, path):
    """As problem+json with the request's id, by whatever method."""
    http.get("/health/readiness")
    answer = http.request(method, path, headers={"x-request-id": "me"})
    assert answer.status_code == 404
    assert is_told(answer)


@pytest.mark.parametrize("path", ["/recommend/1", "/explain/1/x", "/openapi.json", "/metrics"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_only_get_is_answered(http, method, path):
    """Anything else is refused as problem+json with the request's id, which says what is allowed."""
    http.get("/health/readiness")
    answer = http.request(method, path, headers={"x-request-id": "me"})
    assert answer.status_code == 405
    assert is_told(answer)
    assert {name.strip() for name in answer.headers["allow"].split(",")} == {"GET", "HEAD"}


def test_what_was_served_is_put_on_record(http, deps):
    """The event holds the answer as it was given; a refused request leaves none."""
    http.get("/recommend/0")
    answer = http.get(f"/recommend/{SVD}", headers={"x-request-id": "req-1"})
    until(lambda: bool(deps.publisher.events))
    (served,) = deps.publisher.events
    assert (served.request_id, served.user_id, served.movies) == ("req-1", SVD, ("x", "y"))
    assert (served.rung, served.model, served.revision) == ("personal", "svd@v1", "r1")
    assert served.arm == answer.headers["x-marquee-arm"] == "svd:stable"


@pytest.mark.parametrize("broken", ["served.publish", "telemetry", "closed"])
def test_what_cannot_be_put_on_record_is_answered_all_the_same(http, deps, monkeypatch, broken):
    """Whatever the record fails of, the user gets the list, and it is counted as dropped."""

    def fail(*_, **__):
        raise RuntimeError("no more")

    function = http.portal.call(sys.modules["main"].function)
    if broken == "closed":
        function.served.close()
    elif broken == "telemetry":
        monkeypatch.setattr(telemetry.LATENCY, "observe", fail)
    else:
        monkeypatch.setattr(function.served, "publish", fail)
    before = telemetry.EVENTS_DROPPED._value.get()
    for number in (1, 2):
        answer = http.get(f"/recommend/{SVD}")
        assert (answer.status_code, answer.text) == (200, "x,y\n")
        assert telemetry.EVENTS_DROPPED._value.get() == before + number
    assert deps.publisher.events == []


# Why a movie stands where it does


def test_an_explanation_is_words_by_the_own_model(http, svd):
    """With the headers of a list, and the movie by its title."""
    answer = http.get(f"/explain/{SVD}/toy+story+1995", headers={"x-request-id": "why"})
    assert answer.status_code == 200
    assert answer.text.startswith(f"Toy Story (1995), for user {SVD}")
    assert svd.asked == [f"/explain/{SVD}/toy%2Bstory%2B1995"]
    found = {name: answer.headers[f"x-{name}"] for name in ("request-id", "marquee-model", "marquee-arm")}
    assert found == {"request-id": "why", "marquee-model": "svd@v1", "marquee-arm": "svd:stable"}
    assert (answer.headers["x-marquee-rung"], answer.headers["cache-control"]) == ("folded_in", "no-store")


def test_an_explanation_is_json_when_asked_for(http):
    """All its parts, and the titles of all movies in it."""
    answer = http.get(f"/explain/{SVD}/x+2001", headers={"accept": "application/json"})
    told = answer.json()
    assert (told["user_id"], told["movie"], told["chance"]) == (SVD, "x+2001", 0.6)
    assert told["titles"] == {"x+2001": "X (2001)"}
    assert told["arm"] == "svd:stable"


def test_a_list_of_the_other_model_is_explained_by_the_other_model(http, svd):
    """Whoever would answer the user now explains."""
    svd.status = 500
    answer = http.get(f"/explain/{SVD}/x", headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()["model"]) == (200, "svdpp@v1")


def test_what_no_model_knows_is_404(http, unknown):
    """A user or a movie that is unknown to both."""
    answer = http.get(f"/explain/{SVD}/x")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.headers["x-request-id"]


def test_an_explanation_that_no_model_gives_in_time_is_503(client):
    """Within the deadline too."""
    with paused() as silent:
        http = client(**IN_TIME, score_svd_url=silent, score_svdpp_url=silent)
        answer, seconds = timed(http, f"/explain/{SVD}/x")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert json.loads(answer.text)["detail"] == "no model answered in time"
    assert seconds < IN_TIME["deadline_ms"] / 1000
