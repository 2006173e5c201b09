"""What the site's own log says of the lists that it was served: by which clock, which of them came, and up to when."""

from typing import Final

import numpy as np

from functions.evaluate_online.lists import MINUTE_US, SECOND_US, Acts, Arrivals, Bools, Lists, Requests, Times

_ENOUGH_PAIRS: Final = 10
_ENOUGH_LOGGED: Final = 0.5
_LATEST: Final = 10
_FEW: Final = 9
_PATIENCE: Final = 15 * MINUTE_US
"""After so long a source tries no more: twelve times, after 0.2 s and then twice as long each time."""

_NEAR: Final = MINUTE_US // SECOND_US


def skew(served: Lists, logged: Requests) -> int:
    """Return by how many microseconds the site's clock is ahead of ours, in whole seconds; 0 if that is not known.

    The site logs a list that it got a moment after it was served. Lists that are logged as often as they were served to
    a user are compared, the first with the first; of others a line may be missing. The median of all users is taken,
    each with the first of theirs: no user alone sets the clock.
    """
    ours, theirs = _contents(served, logged)
    n = 1 + max(ours.max(initial=0), theirs.max(initial=0))
    is_complete = np.bincount(ours, minlength=n) == np.bincount(theirs, minlength=n)
    rows, lines = _rows_of(ours, is_complete), _rows_of(theirs, is_complete)
    one_each = np.unique(served.users[rows], return_index=True)[1]
    ahead = logged.times[lines[one_each]] - served.times[rows[one_each]]
    if len(ahead) < _ENOUGH_PAIRS:
        return 0
    return round(float(np.median(ahead)) / SECOND_US) * SECOND_US


def came(served: Lists, logged: Requests, until: int) -> Bools:
    """Return which lists the site got, shape (n,): the log has the same one for the same user, within a minute.

    An answer that was lost on its way was seen by nobody. But if the log has less than half of the lists up to `until`,
    it is the log that is incomplete, and every list counts; so does one after `until`, whose line may be on its way.
    """
    is_due = served.times < until - MINUTE_US
    if not is_due.any() or not len(logged):
        return np.ones(len(served), dtype=np.bool_)
    ours, theirs = _contents(served, logged)
    begin = min(served.times.min(), logged.times.min())
    end = max(served.times.max(), logged.times.max())
    stretch = (end - begin) // SECOND_US + 3 * _NEAR  # so many seconds for each content
    moments = ours * stretch + (served.times - begin) // SECOND_US
    lines = np.sort(theirs * stretch + (logged.times - begin) // SECOND_US)
    found: Bools = np.searchsorted(lines, moments + _NEAR, "right") > np.searchsorted(lines, moments - _NEAR)
    return found | ~is_due if found[is_due].mean() >= _ENOUGH_LOGGED else np.ones(len(served), dtype=np.bool_)


def known(served: Lists, logged: Requests, until: int) -> Bools:
    """Return which lists are of users for whom the site logged any request, shape (n,), as `came` says of lists."""
    is_user = np.zeros(1 + max(served.users.max(initial=0), logged.users.max(initial=0)), dtype=np.bool_)
    is_user[logged.users] = True
    is_due = served.times < until - MINUTE_US
    found: Bools = is_user[served.users] | ~is_due
    return found if is_due.any() and found[is_due].mean() >= _ENOUGH_LOGGED else np.ones(len(served), dtype=np.bool_)


def watermark(watches: Acts) -> int:
    """Return the moment up to which the stream of watches is in: when all but the latest few users watched last.

    Those few may carry wrong times; none is later than when the lake took it in. A stream that stops closes no more
    windows, so missing data is never taken for users who watched nothing.
    """
    if not len(watches):
        return 0
    last = np.zeros(watches.users.max() + 1, dtype=np.int64)
    np.maximum.at(last, watches.users, watches.times)
    return int(np.partition(last, -_LATEST)[-_LATEST]) if len(last) >= _LATEST else 0


def complete(arrivals: Arrivals) -> int:
    """Return the moment up to which no record of the log is missing, as far as records that came in later tell.

    Deliveries fail and are tried again while later ones pass, and one partition is read later than another. So each
    partition of the last quarter of an hour is complete up to its first gap that a record has passed since then, or to
    its last record; when that was is told by the median of a few, as one clock may be wrong. A gap that is older will
    not be filled any more: its record is a dead letter, or of a user who asked to be forgotten.
    """
    newest = arrivals.ingested.max(initial=0)
    until: int = np.iinfo(np.int64).max
    for partition in np.unique(arrivals.partitions[arrivals.ingested > newest - _PATIENCE]):
        rows = np.flatnonzero(arrivals.partitions == partition)
        offsets, first = np.unique(arrivals.offsets[rows], return_index=True)
        rows = rows[first]
        passed = np.minimum.accumulate(arrivals.ingested[rows][::-1])[::-1]
        gaps = np.flatnonzero((np.diff(offsets) > 1) & (passed[1:] > newest - _PATIENCE))
        end = int(gaps[0]) + 1 if len(gaps) else len(rows)
        until = min(until, int(np.median(arrivals.times[rows[:end][-_FEW:]])))
    return until


def _contents(served: Lists, logged: Requests) -> tuple[Times, Times]:
    """Return a number for each list of both: those of the same user with the same movies have the same one."""
    numbers = np.unique(np.concatenate([served.contents, logged.contents]), return_inverse=True)[1]
    return numbers[: len(served)], numbers[len(served) :]


def _rows_of(contents: Times, chosen: Bools) -> Times:
    """Return the rows of the lists whose contents are chosen, by content and time."""
    rows = np.flatnonzero(chosen[contents])
    return rows[np.argsort(contents[rows], kind="stable")]
