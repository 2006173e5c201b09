"""Read how an answer came to be: every document, checked as it is read; what is wrong is told, and not raised."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar

from shared import answers, forgotten, keys, rollout
from shared.answers import Asked, Fits, Served
from shared.artifacts import ArtifactStore, Manifest
from shared.decision import Decision
from shared.errors import Corrupt, NotFound, NotReady
from shared.events import ALGORITHMS
from shared.ports import Lake, ObjectStore
from shared.rollout import State
from shared.signing import Verifier
from shared.story import Documents, Found, LakeLeft, Story, had_users, lake_name, tell

T = TypeVar("T")

_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR
_WINDOWS: Final = ((-_HOUR, 2 * _HOUR), (-2 * _DAY, 30 * _DAY))
"""When a list was taken in, beside the moment of the answer: at once; or late, or by clocks that differ."""

_READ: Final = ("rating", "watch")
"""The kinds of rows that a matrix is made of."""

_POPULAR: Final = "popular"


@dataclass(frozen=True)
class Provenance:
    """The bucket, its lake, for how many days it keeps what was served, and what time it is.

    `judge` says whose decisions are followed, None: anybody's. `checks_files` says whether the bytes of models and
    matrices are checked too, not their manifests alone.
    """

    objects: ObjectStore
    artifacts: ArtifactStore
    lake: Lake
    retain_days: int
    now: datetime
    judge: Verifier | None = None
    checks_files: bool = True

    def answer(self, known: Asked) -> Fits:
        """Return the served lists that an answer may be. Raises: NotReady."""
        if known.request_id:
            return answers.fits(self._lists({"request_id": known.request_id}), known)
        moment = known.time or 0
        found = Fits([])
        for before, after in _WINDOWS:
            found = answers.fits(self._lists({"user_id": known.user_id}, moment + before, moment + after), known)
            if found.lists:
                return found
        return found

    def stories(self, known: Asked) -> tuple[list[Story], str]:
        """Return the story of each served list that an answer may be, and what is to be said of that.

        Without any, those of the models that had users then, with what became of the list. Raises: NotReady.
        """
        found = self.answer(known)
        if found.lists:
            return [tell(each, self.documents(each)) for each in found.lists], found.note
        lost, gone = self._lost(known)
        then = (
            []
            if known.time is None
            else [
                tell(known, self._of_model(algorithm, version, known.time), lost, gone)
                for algorithm in ALGORITHMS
                for version in self._had_users(algorithm, known.time)
            ]
        )
        return then or [tell(known, Documents(), lost, gone)], found.note or gone or lost

    def documents(self, served: Served) -> Documents:
        """Return all that can be read about what made a served list."""
        algorithm, _, version = served.model.partition("@")
        if algorithm == _POPULAR:
            return self._of_popular(version)
        return self._of_model(algorithm, version, served.time)

    def _lists(self, equal: Mapping[str, str], since: int | None = None, until: int | None = None) -> list[Served]:
        rows = self.lake.find("served", answers.COLUMNS, equal, since, until)
        return [Served.of(row) for row in rows]

    def _lost(self, known: Asked) -> tuple[str, str]:
        """Return why there is no served list: what is wrong, or that it went as it should."""
        if known.user_id and forgotten.read(self.objects).among([known.user_id]):
            return "", "the user asked to be forgotten, and their rows were erased"
        oldest = self.now.date() - timedelta(days=self.retain_days)
        if (
            self.retain_days
            and known.time is not None
            and datetime.fromtimestamp(known.time / 1e6, UTC).date() < oldest
        ):
            return "", f"what was served is kept for {self.retain_days} days, and this was before {oldest}"
        since = min(
            (each.partition.date for each in self.lake.files() if each.partition.kind == "served"), default=None
        )
        there = f"the lake has answers since {since}" if since else "the lake has no answers"
        if known.request_id:
            days = f"after {self.retain_days} days, or " if self.retain_days else ""
            why = f"it is no answer's X-Request-Id, or its list is yet to come in, or went {days}because of a `forget`"
            return f"no served list has the request id {known.request_id[:60]!r}: {why}; {there}", ""
        return f"no served list fits; {there}, and new ones come in within seconds", ""

    def _had_users(self, algorithm: str, moment: int) -> Sequence[str]:
        state = self._state(keys.score_service(algorithm)).value
        return had_users(state, moment) if state else []

    def _of_popular(self, version: str) -> Documents:
        """Return what is known of popular movies: counted from a matrix, and from the lake after it up to a version."""
        matrix, _, lake = version.partition("+")
        if not lake.isdecimal():  # the list that every image has
            return Documents()
        found = self._manifest(keys.matrix(matrix))
        lakes = [
            int(lake),
            *([found.value.lake_version] if found.value and found.value.lake_version is not None else []),
        ]
        return Documents(
            matrices={found.name: found}, lakes={each: lake_left(self.lake, self.objects, each) for each in lakes}
        )

    def _of_model(self, algorithm: str, version: str, moment: int) -> Documents:
        models = self._chain(algorithm, version)
        made_from = [each.value.made_from for each in models if each.value and each.value.made_from]
        matrices = {name: self._manifest(name) for name in dict.fromkeys(made_from)}
        read = [
            each.value.lake_version for each in matrices.values() if each.value and each.value.lake_version is not None
        ]
        service = keys.score_service(algorithm)
        return Documents(
            models=models,
            matrices=matrices,
            lakes={each: lake_left(self.lake, self.objects, each) for each in dict.fromkeys(read)},
            report=self._report(algorithm, version),
            decisions=self._decisions(service, version),
            service=service,
            state=self._state(service),
            online=self._online(service, version, moment),
        )

    def _chain(self, algorithm: str, version: str) -> list[Found[Manifest]]:
        """Return a model, the one that it was warmed from, and so on."""
        found: dict[str, Found[Manifest]] = {}
        following: str | None = version
        while following and following not in found:
            found[following] = self._manifest(keys.model(algorithm, following))
            manifest = found[following].value
            following = manifest.warmed_from if manifest else None
        return list(found.values())

    def _manifest(self, prefix: str) -> Found[Manifest]:
        """Return a manifest, and whatever is wrong with it, its signature or its files."""
        try:
            manifest = ArtifactStore(self.objects).manifest(prefix)
        except (Corrupt, NotFound) as error:
            return Found(prefix, wrong=(_words(error),))
        checks: list[Callable[[], object]] = [lambda: self.artifacts.manifest(prefix)]
        if self.checks_files:
            checks += [lambda name=name: self.artifacts.get_file(prefix, name) for name in manifest.files]  # type: ignore[misc]
        wrong = [problem for check in checks if (problem := _problem(check))]
        told = f"{prefix.split('/')[-1]}"
        if manifest.id != told:
            wrong.append(f"its manifest is that of {manifest.id}")
        return Found(prefix, manifest, tuple(dict.fromkeys(wrong)))

    def _report(self, algorithm: str, version: str) -> Found[Mapping[str, Any]]:
        name = keys.report(algorithm, version)
        return _read(name, lambda: _object(self.artifacts.get_file(name, "report.json")))

    def _state(self, service: str) -> Found[State]:
        name = keys.channel(service)
        return _read(name, lambda: rollout.read(service, _object(self.objects.get(name).data)))

    def _decisions(self, service: str, version: str) -> list[Found[Decision]]:
        """Return the last decision about a model, and those that a change of its service rests on."""
        folder = f"{PurePosixPath(keys.decision(service, version, 0)).parent}/"
        state = self._state(service).value
        acted_on = {change.evidence for change in state.log if change.evidence} if state else set()
        stored = self._numbered(folder)
        evidence = {each for each in acted_on if each.startswith(folder)}
        names = sorted({*stored[-1:], *evidence}, key=_number)
        return [self._decision(name) for name in names]

    def _decision(self, name: str) -> Found[Decision]:
        """Return a decision, and whatever is wrong with it or its signature."""
        found = _read(name, lambda: Decision.from_bytes(self.objects.get(name).data))
        wrong = _problem(lambda: Decision.from_bytes(self.objects.get(name).data, self.judge)) if found.value else ""
        return dataclasses.replace(found, wrong=(wrong,)) if wrong else found

    def _online(self, service: str, version: str, moment: int) -> Found[Mapping[str, Any]] | None:
        """Return the first online report after a moment, or the last before it, that says something of a model."""
        names = self._numbered(keys.ONLINE_REPORTS)
        first, end = 0, len(names)
        while first < end:  # reports are numbered as they were made
            middle = (first + end) // 2
            report = self._online_report(names[middle]).value
            if report and report.get("evaluated_at", 0) >= moment:
                end = middle
            else:
                first = middle + 1
        for name in (*names[first : first + 1], *names[max(first - 1, 0) : first]):
            found = self._online_report(name)
            if found.wrong or version in _models(found.value, service):
                return found
        return None

    def _online_report(self, name: str) -> Found[Mapping[str, Any]]:
        return _read(name, lambda: _object(self.objects.get(name).data))

    def _numbered(self, folder: str) -> list[str]:
        return sorted((key for key in self.objects.keys(folder) if PurePosixPath(key).stem.isdecimal()), key=_number)


def lake_left(lake: Lake, objects: ObjectStore, version: int) -> Found[LakeLeft]:
    """Return how much of what a matrix was made from is still there, of a version of the lake. Raises: NotReady."""
    name = lake_name(version)
    if version < 0:
        return Found(name, LakeLeft(version, 0, 0))
    try:
        files = [each.path for each in lake.files(version) if each.partition.kind in _READ]
    except NotReady as error:
        return Found(name, wrong=(str(error),))
    if not files:
        return Found(name, wrong=("it is not there",))
    there = {key for kind in _READ for key in objects.keys(f"{keys.LAKE}/kind={kind}/")}
    left = LakeLeft(version, len(files), sum(f"{keys.LAKE}/{path}" in there for path in files))
    gone = "" if left.n_left == left.n_files else "the files that no live model needs were let go"
    return Found(name, left, gone=gone)


def _read(name: str, read: Callable[[], T]) -> Found[T]:
    try:
        return Found(name, read())
    except (Corrupt, NotFound) as error:
        return Found(name, wrong=(_words(error),))


def _object(data: bytes) -> dict[str, Any]:
    """Return a JSON object. Raises: Corrupt."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Corrupt("no JSON object")
    return found


def _problem(check: Callable[[], object]) -> str:
    """Return what is wrong, nothing if all is well."""
    try:
        check()
    except (Corrupt, NotFound) as error:
        return _words(error)
    return ""


def _words(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, NotFound) else str(error)


def _number(name: str) -> int:
    return int(PurePosixPath(name).stem)


def _models(report: Mapping[str, Any] | None, service: str) -> set[str | None]:
    return {arm.get("model_version") for arm in (report or {}).get(service, {}).values() if isinstance(arm, Mapping)}
