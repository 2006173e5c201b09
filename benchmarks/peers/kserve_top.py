"""A model in KServe's Python model server, as its documentation has it: `kserve_top.py FOLDER PORT`."""

import logging
import sys
from pathlib import Path
from typing import Any

from kserve import Model, ModelServer  # type: ignore[import-not-found]
from kserve.protocol.rest.server import RESTServer  # type: ignore[import-not-found]

from benchmarks.peers.top import Lists


class Top(Model):  # type: ignore[misc]
    """The lists of one model."""

    def __init__(self, folder: Path) -> None:
        super().__init__("top")
        self.lists = Lists(folder)
        self.ready = True

    def predict(self, payload: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:  # noqa: ARG002
        """Answer the users of a request."""
        return {"predictions": [self.lists.top(user_id) for user_id in payload["instances"]]}


if __name__ == "__main__":
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    server = ModelServer(enable_grpc=False)
    server.register_model(Top(folder))
    rest = RESTServer("kserve.model_server:app", server.dataplane, server.model_repository_extension, port)
    rest.config.host = "127.0.0.1"  # what ModelServer.start does, but for listening to the world
    logging.disable(logging.INFO)  # three lines for each request
    rest.run()
