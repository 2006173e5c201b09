"""YAML from a file. Apart from other files: images whose function reads none do without the library."""

from pathlib import Path
from typing import Any

import yaml

from shared.errors import BadInput


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds. Raises: BadInput."""
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(str(error)) from error
