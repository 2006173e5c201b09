"""A model in BentoML, as its documentation has it."""

import os
from pathlib import Path
from typing import Any

import bentoml  # type: ignore[import-not-found]

from benchmarks.peers.top import Lists


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Top:
    """The lists of one model."""

    def __init__(self) -> None:
        self.lists = Lists(Path(os.environ["MODEL_FOLDER"]))

    @bentoml.api  # type: ignore[untyped-decorator]
    async def top(self, user_id: str) -> dict[str, Any]:
        """Answer one user, on the event loop: in a thread, BentoML's other way, it takes longer."""
        return self.lists.top(user_id)
