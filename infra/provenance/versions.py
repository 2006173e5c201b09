"""Which version a model gets: what changed since the last one of its name decides, not who registers it.

major   the trainer: another engine, or another revision of its code, by which a model is found or stored
minor   what was chosen: a parameter, or the seed
patch   anything else: newer ratings, another start, libraries, the number of threads

"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from functions.train.engine import Parameters
from shared.artifacts import Manifest
from shared.errors import Corrupt

Part = Literal["major", "minor", "patch"]

_FORM: Final = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)
_FIELDS: Final = frozenset(Parameters.__dataclass_fields__)


class Version(NamedTuple):
    """A semantic version, as it stands in a tag (semver.org)."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"

    @classmethod
    def parse(cls, text: str) -> "Version | None":
        """Return the version that a text is, None if it is none."""
        found = _FORM.fullmatch(text)
        return cls(*map(int, found.groups())) if found else None

    def after(self, part: Part) -> "Version":
        """Return the version after a change of a part."""
        match part:
            case "major":
                return Version(self.major + 1, 0, 0)
            case "minor":
                return Version(self.major, self.minor + 1, 0)
            case "patch":
                return Version(self.major, self.minor, self.patch + 1)


FIRST: Final = Version(1, 0, 0)


def changed(before: Manifest, now: Manifest) -> Part:
    """Return what changed from one model to the next. Raises: Corrupt if a manifest has no model's parameters."""
    if (before.revision, before.parameters.get("engine")) != (now.revision, now.parameters.get("engine")):
        return "major"
    if before.parameters.get("seed") != now.parameters.get("seed"):
        return "minor"
    return "patch" if _same_choice(before, now) else "minor"


def _same_choice(before: Manifest, now: Manifest) -> bool:
    """Say whether the same parameters were chosen, though one fit started from a model and the other did not."""
    then, since = parameters(before), parameters(now)
    if before.warmed_from is None and now.warmed_from is not None:
        return then.warmed() == since
    if before.warmed_from is not None and now.warmed_from is None:
        return then == since.warmed()
    return then == since


def parameters(manifest: Manifest) -> Parameters:
    """Return the parameters that a model was fitted with. Raises: Corrupt."""
    named: Mapping[str, Any] = {name: value for name, value in manifest.parameters.items() if name in _FIELDS}
    try:
        return Parameters(**named)
    except (TypeError, ValueError) as error:
        raise Corrupt(f"the manifest of model {manifest.id} has no parameters of a fit: {error}") from None
