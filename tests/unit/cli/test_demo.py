from cli.demo import rows
from shared.ports import Fold
from shared.records import to_table
from shared.rows import Row
from tests import fakes


def test_a_record_that_came_twice_makes_no_more_rows_than_were_sent(tmp_path):
    """Progress ends at what was waited for."""
    deps = fakes.bucket(tmp_path)
    found = to_table([Row("watch", "movielog", 0, offset, 1, time=5, user_id="1") for offset in range(3)])
    deps.lake.fold(found, Fold(1, []))
    assert rows(deps, 4) == 3
    deps.lake.fold(found, Fold(2, []))
    assert rows(deps, 4) == 4
