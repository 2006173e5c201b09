"""What each account of the bucket may do: one policy for each, by the account's name, in `policies/`."""

import json
from pathlib import Path
from typing import Any, Final

_FOLDER: Final = Path(__file__).with_name("policies")


def policies() -> dict[str, dict[str, Any]]:
    """Return the policy of every account."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(_FOLDER.glob("*.json"))}
