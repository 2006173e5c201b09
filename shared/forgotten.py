"""Who asked to be forgotten: digests of their ids, so that what comes in again of theirs can be dropped.

The list is objects without content, named by a digest that is salted with a number of the bucket's own. That keeps
ids out of sight; who has the bucket and patience can still try all ids, as what must be recognised can be.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from shared import keys, lines
from shared.errors import Conflict, NotFound
from shared.ports import ObjectStore
from shared.rows import Row

_SALT_BYTES: Final = 32


@dataclass(frozen=True)
class Forgotten:
    """The list as it was read."""

    salt: bytes = b""
    digests: frozenset[str] = frozenset()

    def holds(self, row: Row) -> bool:
        """Say whether a row is of somebody on the list, as far as can be told."""
        return bool(self.among([owner(row.user_id, row.raw)]))

    def among(self, user_ids: Iterable[str | None]) -> set[str]:
        """Return those on the list."""
        if not self.digests:
            return set()
        return {each for each in set(user_ids) if each is not None and digest(self.salt, each) in self.digests}


def owner(user_id: str | None, raw: bytes | None) -> str | None:
    """Return whose row it is, also of a quarantined one if its bytes say it."""
    return user_id or (lines.owner(raw) if raw else None)


def digest(salt: bytes, user_id: str) -> str:
    """Return the name of somebody on the list."""
    return hashlib.sha256(salt + user_id.encode()).hexdigest()


def read(objects: ObjectStore) -> Forgotten:
    """Return the list. Raises: NotReady."""
    names = listed(objects)
    if not names:
        return Forgotten()
    return Forgotten(objects.get(keys.SALT).data, frozenset(name.removeprefix(keys.FORGOTTEN) for name in names))


def remember(objects: ObjectStore, user_id: str) -> tuple[bool, str]:
    """Put somebody on the list; say whether they are new there, and by which name. Raises: NotReady."""
    name = digest(_salt(objects), user_id)
    is_new = keys.FORGOTTEN + name not in listed(objects)
    objects.put_new(keys.FORGOTTEN + name, b"")
    return is_new, name


def listed(objects: ObjectStore) -> Sequence[str]:
    """Return the names on the list."""
    return [name for name in objects.keys(keys.FORGOTTEN) if name != keys.SALT]


def refuse_if_grown(objects: ObjectStore, left_out: Forgotten) -> None:
    """Raise Conflict if somebody is on the list who was not left out: what was made may hold them, so do it again.

    Whoever makes something of rows reads the list first, leaves out who is on it, and asks this right before storing.
    That is complete whatever an erasure does meanwhile: what is stored holds nobody who was on the list by then.
    """
    if not read(objects).digests <= left_out.digests:
        raise Conflict("somebody asked to be forgotten while this was made")


def _salt(objects: ObjectStore) -> bytes:
    """Return the bucket's salt, made by whoever is first."""
    try:
        return objects.get(keys.SALT).data
    except NotFound:
        with suppress(Conflict):  # another was first
            objects.put_new(keys.SALT, os.urandom(_SALT_BYTES))
        return objects.get(keys.SALT).data
