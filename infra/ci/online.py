"""The newest online report: what users of each arm did."""

from pathlib import PurePosixPath

from shared import keys
from shared.ports import ObjectStore


def newest_report(objects: ObjectStore) -> bytes | None:
    """Return the report about the highest version of the lake, None if there is none yet. Raises: NotReady."""
    numbers = [int(stem) for key in objects.keys(keys.ONLINE_REPORTS) if (stem := PurePosixPath(key).stem).isdecimal()]
    return objects.get(keys.online_report(max(numbers))).data if numbers else None
