"""How an answer came to be: what was read of it, as things that came from one another. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar

from shared.answers import Asked, Served
from shared.artifacts import Manifest
from shared.decision import Decision
from shared.rollout import Change, Release, State

T = TypeVar("T")

Condition = Literal["whole", "gone", "wrong"]
"""Whole: there, and as it should be. Gone: let go when its time was over. Wrong: missing, or not as it should be."""

UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class Found(Generic[T]):
    """A document by its name in the bucket: what it says, None if that cannot be read, and all that is wrong with it.

    `gone` says why it may well not be there.
    """

    name: str
    value: T | None = None
    wrong: tuple[str, ...] = ()
    gone: str = ""


@dataclass(frozen=True)
class LakeLeft:
    """A version of the lake: of how many files the ratings and watches in it were, and how many of them are left."""

    version: int
    n_files: int
    n_left: int


@dataclass(frozen=True)
class Documents:
    """All that was read about the model of an answer, or about what is popular.

    `models` are the model and what each was warmed from, the oldest last; `matrices` what they were made from, by name.
    `live` are the changes of the model's service that are about it; `releases` the revisions that answered from it.
    """

    models: Sequence[Found[Manifest]] = ()
    matrices: Mapping[str, Found[Manifest]] = field(default_factory=dict)
    lakes: Mapping[int, Found[LakeLeft]] = field(default_factory=dict)
    report: Found[Mapping[str, Any]] | None = None
    decisions: Sequence[Found[Decision]] = ()
    service: str = ""
    state: Found[State] | None = None
    online: Found[Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Thing:
    """One thing of the story: what kind of thing, by which name, what is to be said of it, and in which condition."""

    kind: str
    name: str
    facts: Mapping[str, Any]
    condition: Condition = "whole"
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """One thing came from another."""

    of: str
    origin: str
    how: str


@dataclass(frozen=True)
class Story:
    """The things, the answer first, and how they came from one another."""

    things: Sequence[Thing]
    links: Sequence[Link]

    @property
    def wrong(self) -> list[Thing]:
        """What is missing or not what it should be."""
        return [thing for thing in self.things if thing.condition == "wrong"]

    def origins(self, name: str) -> list[tuple[str, Thing]]:
        """Return what a thing came from, and how."""
        by_name = {thing.name: thing for thing in self.things}
        return [(link.how, by_name[link.origin]) for link in self.links if link.of == name and link.origin in by_name]

    def facts(self) -> dict[str, Any]:
        """Return everything for a machine to read."""
        return {
            "things": [vars(thing) for thing in self.things],
            "links": [vars(link) for link in self.links],
            "whole": not self.wrong,
        }


def tell(answer: Served | Asked, known: Documents, lost: str = "", gone: str = "") -> Story:
    """Return the story of an answer, or of what is known of one whose row is `lost`, or `gone` with its time.

    Without a row, what is said of models is said of one that had users when it was given.
    """
    things: dict[str, Thing] = {}
    links: dict[tuple[str, str], Link] = {}
    for thing, origins in _told(answer, known, lost, gone):
        things.setdefault(thing.name, thing)
        for origin, how in origins.items():
            links.setdefault((thing.name, origin), Link(thing.name, origin, how))
    return Story(list(things.values()), list(links.values()))


Origins = dict[str, str]


def _told(answer: Served | Asked, known: Documents, lost: str, gone: str) -> Iterator[tuple[Thing, Origins]]:
    yield _answer(answer, known, lost, gone)
    moment = answer.time or 0
    if known.state and known.models:
        yield from _live(known.state, known.models[0].name, moment)
    decisions = known.decisions
    for decision in decisions:
        yield _decision(decision), {known.models[0].name: "judges"} if known.models else {}
    if known.online:
        yield _document("online metrics", known.online, _arms(known)), {}
    if known.report:
        yield _document("offline metrics", known.report, _measures(known.report.value)), {}
    for model in known.models:
        yield from _artifact("model", model)
    for matrix in known.matrices.values():
        yield from _artifact("matrix", matrix)
    for lake in known.lakes.values():
        facts = (
            {"version": lake.value.version, "files": f"{lake.value.n_left} of {lake.value.n_files}"}
            if lake.value
            else {}
        )
        yield _document("lake", lake, facts), {}


def _answer(answer: Served | Asked, known: Documents, lost: str, gone: str) -> tuple[Thing, Origins]:
    facts = {name: value for name, value in vars(answer).items() if value not in ("", (), None)}
    origins: Origins = {}
    if known.models:
        origins[known.models[0].name] = "answered by" if isinstance(answer, Served) else "perhaps answered by"
    else:
        origins |= dict.fromkeys([*known.matrices, *(each.name for each in known.lakes.values())], "counted from")
    origins |= {each.name: "measured by" for each in (known.report, known.online) if each}
    if known.state and known.models:
        change = in_force(known.state.value, known.models[0].name.rpartition("/")[2], answer.time or 0)
        if change:
            origins[_change_name(known.state.name, change)] = "given users by"
        elif known.state.wrong or known.state.value:
            origins[known.state.name] = "given users by"
    if isinstance(answer, Served):
        return Thing("answer", f"{answer.topic}-{answer.partition}@{answer.offset}", facts), origins
    condition: Condition = "gone" if gone else "wrong"
    return Thing("answer", "answer", facts, condition, tuple(filter(None, [gone or lost]))), origins


def in_force(state: State | None, model_version: str, moment: int) -> Change | None:
    """Return the last change of a model up to a moment, None if the log does not know any."""
    found = [change for change in (state.log if state else ()) if change.model_version == model_version]
    return max((change for change in found if change.at <= moment), key=lambda each: each.number, default=None)


def had_users(state: State, moment: int) -> list[str]:
    """Return the models of a service that had users at a moment, as far as the log goes back."""
    live: list[str] = []
    canary = ""
    for change in state.log:
        if change.at > moment:
            break
        match change.what:
            case "promoted" | "adopted":
                live, canary = [*live, change.model_version], ""
            case "canary" | "held":
                canary = change.model_version if change.percent else ""
            case "rolled_back":
                live = live[:-1] if live[-1:] == [change.model_version] and not canary else live
                canary = ""
    return [*live[-1:], *filter(None, [canary])]


def _live(state: Found[State], model: str, moment: int) -> Iterator[tuple[Thing, Origins]]:
    """Tell who gave the model users, and what was changed about it at all."""
    version = model.rpartition("/")[2]
    if state.value is None:
        yield Thing("rollout", state.name, {}, "wrong", state.wrong), {}
        return
    now = in_force(state.value, version, moment)
    changes = [change for change in state.value.log if change.model_version == version]
    if now is None:
        why = "the service keeps its last changes, and none of them is about this model and that old"
        yield Thing("rollout", state.name, _releases(state.value, version), "gone", (why,)), {}
    for change in changes:
        facts = change.model_dump(exclude={"number", "model_version"}, exclude_none=True)
        if change == now:
            facts = {"in force": "when the answer was given", **facts, **_releases(state.value, version)}
        origins = {change.evidence: "because of"} if change.evidence else {}
        yield Thing("rollout", _change_name(state.name, change), facts), {**origins, model: "of"}


def _change_name(channel: str, change: Change) -> str:
    return f"{channel}#{change.number}"


def _releases(state: State, version: str) -> dict[str, Any]:
    """Return the revisions of a model that the state still names, and the images they run."""
    canary = state.canary.release if state.canary else None
    releases: list[Release | None] = [state.stable, state.previous, canary]
    return {each.revision: each.image or UNKNOWN for each in releases if each and each.model_version == version}


def _decision(found: Found[Decision]) -> Thing:
    if found.value is None:
        return _document("decision", found, {})
    told = found.value.model_dump(include={"verdict", "reason", "against", "is_safe", "number", "decided_at"})
    effect = found.value.evidence.get("verdict", {}).get("effect", {})
    told["signed"] = "yes" if found.value.signature else "no"
    return _document("decision", found, told | ({"effect": effect} if effect else {}))


def _arms(known: Documents) -> dict[str, Any]:
    """Return what an online report says of the arms that this model answered in."""
    version = known.models[0].name.rpartition("/")[2] if known.models else ""
    report = known.online.value if known.online and known.online.value else {}
    arms = report.get(known.service, {})
    mine = {arm: numbers for arm, numbers in arms.items() if numbers.get("model_version") == version}
    return {"evaluated_at": report.get("evaluated_at"), **mine} if mine else {}


_SAID_ELSEWHERE: Final = {"algorithm", "model_version", "matrix_id", "lake_version"}


def _measures(report: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (report or {}).items() if name not in _SAID_ELSEWHERE}


def _artifact(kind: str, found: Found[Manifest]) -> Iterator[tuple[Thing, Origins]]:
    """Tell of an artifact, and of the records, the code and the image that it was made from and by."""
    manifest = found.value
    if manifest is None:
        yield _document(kind, found, {}), {}
        return
    offsets, commit, image = f"records of {found.name}", manifest.git_commit, manifest.image_digest
    facts: dict[str, Any] = {
        "created_at": manifest.created_at,
        "signed": _signed(manifest) if kind == "model" else None,
        "erased": manifest.erased or None,
        "parameters": manifest.parameters,
        "metrics": manifest.metrics,
        "lake_read_at": manifest.lake_read_at,
        "commit": commit if commit == UNKNOWN else None,
        "image": image if image == UNKNOWN else None,
        "libraries": {"python": manifest.python, **manifest.libraries},
        "processor": manifest.processor,
        "files": {name: f"{each.size} bytes, sha256 {each.sha256}" for name, each in manifest.files.items()},
    }
    origins: Origins = {}
    if kind == "model":
        algorithm = found.name.split("/")[1]
        origins |= {manifest.made_from: "made from"} if manifest.made_from else {}
        origins |= {f"models/{algorithm}/{manifest.warmed_from}": "warmed from"} if manifest.warmed_from else {}
    elif manifest.lake_version is not None:
        origins |= {lake_name(manifest.lake_version): "read from"}
    origins |= {offsets: "holds"} if manifest.offsets else {}
    origins |= {commit: "by the code of"} if commit != UNKNOWN else {}
    origins |= {image: "in"} if image != UNKNOWN else {}
    yield _document(kind, found, {name: value for name, value in facts.items() if value not in (None, {})}), origins
    if manifest.offsets:
        spans = {partition: f"offsets {first} to {last}" for partition, (first, last) in manifest.offsets.items()}
        yield Thing("Kafka", offsets, spans), {}
    if commit != UNKNOWN:
        yield Thing("commit", commit, {}), {}
    if image != UNKNOWN:
        yield Thing("image", image, {}), {}


def _signed(manifest: Manifest) -> str:
    return "no" if manifest.signature is None else f"as {manifest.signed_as}"


def lake_name(version: int) -> str:
    """Return what a version of the lake is called."""
    return f"lake/events@{version}"


def _document(kind: str, found: Found[Any], facts: Mapping[str, Any]) -> Thing:
    if found.wrong:
        return Thing(kind, found.name, facts, "wrong", found.wrong)
    if found.gone:
        return Thing(kind, found.name, facts, "gone", (found.gone,))
    return Thing(kind, found.name, facts)
