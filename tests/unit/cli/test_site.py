from cli.site import BAD_LINES, log_lines
from shared.lines import Limits, parse
from shared.rows import Place
from tests.ratings import table


def kinds(lines):
    return [parse(line, Place("movielog", 0, 0, 1_795_000_000_000_000), Limits()).kind for line in lines]


def test_ratings_become_lines_that_the_parser_takes():
    """Every rating once, each user's account before it, and some watching."""
    ratings = table([(str(n % 3 + 1), f"m{n}", 3.5, 1_500_000_000 + n) for n in range(40)])
    found = kinds(log_lines(ratings))
    assert (found.count("rating"), found.count("account"), found.count("watch")) == (40, 3, 2)
    assert "quarantine" not in found


def test_bad_lines_come_only_when_asked_for():
    """Ratings that a person replays are sent as they are; the demo's stand-in for the site errs now and then."""
    ratings = table([("1", f"m{n}", 3.5, 1_500_000_000 + n) for n in range(10_000)])
    assert kinds(log_lines(ratings)).count("quarantine") == 2
    assert "quarantine" not in kinds(log_lines(ratings, with_bad_lines=False))


def test_bad_lines_are_bad():
    """Each of them ends in quarantine, and nearly every reason there is occurs."""
    rows = [parse(line, Place("movielog", 0, 0, 1_795_000_000_000_000), Limits()) for line in BAD_LINES]
    assert {row.kind for row in rows} == {"quarantine"}
    assert len({row.reason for row in rows}) == len(rows)
