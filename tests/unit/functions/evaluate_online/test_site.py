from collections.abc import Mapping
from itertools import chain

import numpy as np
import pytest

from functions.evaluate_online import gather, site
from functions.evaluate_online.lists import Acts, Arrivals
from shared.rows import Row
from tests.unit.functions.evaluate_online.rows import DAY, HOUR, MINUTE, NOW, SECOND, START, Site, batches, behaviour


def skew(log: Site) -> int:
    found = behaviour(log.rows)
    return site.skew(found.lists, found.requests)


def came(log: Site, until: int = DAY) -> list[bool]:
    found = behaviour(log.rows)
    return site.came(found.lists, found.requests.take(~found.requests.failed), START + until).tolist()


@pytest.mark.parametrize("ahead", [-5 * HOUR, -HOUR, -30 * SECOND, 0, MINUTE, 3 * HOUR])
def test_the_sites_clock_is_known_from_the_lists_that_it_logged(ahead: int) -> None:
    """A list is logged a moment after it was served."""
    log = Site(ahead=ahead)
    for user in range(1, 21):
        log.serve(user, "a b", user * MINUTE)
    assert skew(log) == ahead


def test_users_who_ask_often_for_the_same_list_are_compared_ask_by_ask() -> None:
    """Also if lines are lost: a list that is logged less often than it was served says nothing."""
    log = Site(ahead=HOUR)
    for user in range(1, 31):
        for ask in range(5):
            log.serve(user, "a b", (user + 7 * ask) * MINUTE, logged=ask > 0 or user <= 12)
    assert skew(log) == HOUR


def test_few_pairs_say_nothing_about_a_clock() -> None:
    """Nine lists are no proof; nor are lists of other users or movies."""
    log = Site(ahead=HOUR)
    for user in range(1, 10):
        log.serve(user, "a b", user * MINUTE)
    for user in range(10, 40):
        log.serve(user, "a b", user * MINUTE, logged=False)
        log.log(user, "a c", user * MINUTE)
    assert skew(log) == 0
    assert skew(Site()) == 0


def test_a_list_whose_line_never_came_was_seen_by_nobody() -> None:
    """The answer was lost on its way, or the site had given up."""
    log = Site()
    for user in range(1, 11):
        log.serve(user, "a b", user * MINUTE, logged=user != 4)
    log.log(4, "", 4 * MINUTE, status=0)
    assert came(log) == [user != 4 for user in range(1, 11)]


def test_a_log_with_less_than_half_of_the_lists_is_incomplete_itself() -> None:
    """Then every list counts, as it does without any line."""
    log = Site()
    for user in range(1, 11):
        log.serve(user, "a b", user * MINUTE, logged=user < 5)
    assert came(log) == [True] * 10
    for row in [row for row in log.rows if row.kind == "request"]:
        log.rows.remove(row)
    assert came(log) == [True] * 10
    assert came(Site()) == []


def test_a_line_about_the_same_list_at_another_time_is_another_lists() -> None:
    """It came within a minute, or not at all."""
    log = Site()
    for user in range(1, 6):
        log.serve(user, "a", 0)
    for at in (MINUTE, 3 * MINUTE):
        log.serve(6, "a", at, logged=False)
    log.log(6, "a", 4 * MINUTE)
    assert came(log) == [True] * 5 + [False, True]


def test_lists_whose_line_may_be_on_its_way_count() -> None:
    """What is newer than all that is in is not missing yet."""
    log = Site()
    for user in range(1, 11):
        log.serve(user, "a", user * MINUTE, logged=user <= 4)
    assert came(log, 6 * MINUTE) == [True] * 10
    assert came(log, 7 * MINUTE) == [user != 5 for user in range(1, 11)]


def test_the_stream_is_in_up_to_where_all_but_a_few_users_watched() -> None:
    """Nine clocks that are wrong by a day move nothing, however often they say so."""
    log = Site()
    for user in range(1, 31):
        log.serve(user, "a", 0)
        log.watch(user, "b", user * MINUTE)
    assert behaviour(log.rows).until == START + 21 * MINUTE
    for user in range(1, 10):
        log.watch(user, "b", DAY)
        log.watch(user, "b", DAY)
    assert behaviour(log.rows).until == START + 30 * MINUTE


def test_a_server_whose_clock_is_ahead_closes_no_window_before_its_time() -> None:
    """Half of the users are on it, a day ahead: watches are in up to where the lake took any in, and no further."""
    log = Site(taken=START + 40 * MINUTE)
    for user in range(1, 31):
        log.serve(user, "a", 0)
        log.watch(user, "a", user * MINUTE + (DAY if user % 2 else 0))
    assert behaviour(log.rows).until == START + 40 * MINUTE


def test_a_stream_without_watches_is_in_up_to_nowhere() -> None:
    """Missing data closes no window."""
    none = gather.acts([], gather.Ids(), "minute", 0, 1, 0)
    assert site.watermark(none) == 0
    few = np.arange(9, dtype=np.int32)
    assert site.watermark(Acts(few, few, few + 100, few)) == 0


def arrived(*records: tuple[int, int, float], late: Mapping[int, float] = {}) -> Arrivals:
    """Return records of one partition, in minutes: their offset, when they happened; all came in then, some late."""
    offsets, _, times = (np.array(column) for column in zip(*records, strict=True))
    ingested = np.array([late.get(offset, time) for offset, _, time in records])
    happened, came = ((START + each * MINUTE).astype(np.int64) for each in (times, ingested))
    return Arrivals(np.array([partition for _, partition, _ in records], dtype=np.int32), offsets, happened, came)


def minutes(moment: int) -> float:
    return (moment - START) / MINUTE


def test_a_log_without_gaps_is_complete_up_to_its_last_records() -> None:
    """When those happened is told by the median of nine, whatever a clock says; repeats and order change nothing."""
    records = [(n, 0, float(n)) for n in range(30)]
    assert minutes(site.complete(arrived(*records))) == 25
    assert minutes(site.complete(arrived(*reversed(records), *records[3:9]))) == 25
    assert minutes(site.complete(arrived(*records[:29], (29, 0, 900.0), late={29: 29.0}))) == 25


def test_a_record_that_others_passed_is_waited_for() -> None:
    """Its delivery failed and is tried again; what happened after it closes no window until it is in."""
    records = [(n, 0, float(n)) for n in range(30) if n != 20]
    assert minutes(site.complete(arrived(*records))) == 15
    assert minutes(site.complete(arrived(*records, (20, 0, 20.0), late={20: 29.0}))) == 25


def test_a_record_that_never_comes_is_not_waited_for_any_longer_than_it_is_tried() -> None:
    """It is a dead letter; the first record passed it a quarter of an hour ago."""
    records = [(n, 0, float(n)) for n in range(60) if n != 20]
    assert minutes(site.complete(arrived(*records))) == 55


def test_the_slowest_partition_counts_unless_nothing_comes_in_by_it() -> None:
    """One that is read late has not said what its users did; one that is silent for long has nothing to say."""
    fast, slow = [(n, 0, float(n)) for n in range(60)], [(n, 1, float(n)) for n in range(50)]
    assert minutes(site.complete(arrived(*fast, *slow))) == 45
    assert minutes(site.complete(arrived(*fast, *slow[:30]))) == 55


def test_without_any_log_nothing_is_known_to_be_missing() -> None:
    """Watches alone say then that there are none."""
    assert site.complete(gather.arrivals([], 0)) > NOW + DAY


def test_arrivals_are_those_of_the_sites_log() -> None:
    """By our clock, none later than it was taken in; what has no time of its own happened then."""
    log = Site(ahead=HOUR, taken=START + 10 * MINUTE)
    log.serve(1, "a", 0)
    log.watch(1, "a", 9 * MINUTE)
    log.rows.append(Row("quarantine", "movielog", 3, 7, START, raw=b"x"))
    kinds = [batches(log.rows, kind, gather.ARRIVAL_COLUMNS) for kind in ("request", "watch", "quarantine", "served")]
    found = gather.arrivals(chain.from_iterable(kinds), HOUR - 2 * MINUTE)
    assert found.partitions.tolist() == [0, 0, 3]
    assert found.offsets.tolist() == [0, 1, 7]
    assert (found.times - START).tolist() == [7_000 + 2 * MINUTE, 10 * MINUTE, 0]


def test_ids_that_somebody_made_up_are_no_users_of_the_site() -> None:
    """They are served and never logged; those of whom the log knows a failure alone are users, and so are new ones."""
    log = Site()
    for user in range(1, 11):
        log.serve(user, "a", 0)
    log.serve(11, "b", 0, logged=False)
    log.log(11, "", 1_000, status=0)
    for user in (12, 13):
        log.serve(user, "c", 0, logged=False)
    log.serve(14, "c", 5 * MINUTE, logged=False)
    found = behaviour(log.rows)
    assert site.known(found.lists, found.requests, START + 6 * MINUTE).tolist() == [True] * 11 + [False, False, True]
    none = found.requests.take(found.requests.users < 0)
    assert site.known(found.lists, none, START + 6 * MINUTE).all()


def test_no_user_alone_sets_the_sites_clock() -> None:
    """However often they ask, for whatever lists."""
    log = Site()
    for user in range(1, 21):
        log.serve(user, "a", user * MINUTE)
    log.ahead = DAY
    for ask in range(100):
        log.serve(99, f"b{ask}", ask * MINUTE)
    assert skew(log) == 0
