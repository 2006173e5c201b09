"""The shares of a service's traffic, and what makes sense of them."""

import re
from collections.abc import Sequence
from typing import Final

from shared.errors import BadSettings
from shared.ports import Share

_LABEL: Final = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def check(service: str, shares: Sequence[Share]) -> None:
    """Raise BadSettings unless the shares add up to 100, each of a revision of its own and under a tag of its own.

    The host `<tag>-<service>` is a DNS label (RFC 1035).
    """
    percents, tags = [share.percent for share in shares], [share.tag for share in shares]
    if sum(percents) != 100 or min(percents) < 0:
        raise BadSettings(f"{service}: shares of {percents} percent do not add up to 100")
    if len(set(tags)) < len(tags) or not all(_LABEL.fullmatch(f"{tag}-{service}") for tag in tags):
        raise BadSettings(f"{service}: {tags} are no tags: each is a DNS label, and no other's")
    if len({share.revision for share in shares}) < len(shares):
        raise BadSettings(f"{service}: {[share.revision for share in shares]} name a revision twice")


def check_revision(service: str, revision: str) -> None:
    """Raise BadSettings unless this can be the name of a revision of the service."""
    if not (revision.startswith(f"{service}-") and _LABEL.fullmatch(revision)):
        raise BadSettings(f"{revision[:80]!r} is no name of a revision: it is a DNS label that begins with {service}-")
