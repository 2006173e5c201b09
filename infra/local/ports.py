"""Which ports are taken, and by what."""

import socket
from collections.abc import Mapping
from contextlib import suppress

import psutil

from shared.errors import BadInput


def refuse_taken(
    ports: Mapping[int, str], advice: str = "stop it, or move Marquee: MARQUEE_PORT_OFFSET=1000 make up"
) -> None:
    """Raise BadInput if something listens on one of the ports, saying what, which part wanted it, and what to do."""
    taken = [port for port in ports if is_taken(port)]
    if taken:
        lines = [f"port {port}, for {ports[port]}, is taken by {_holder(port)}" for port in taken]
        raise BadInput("\n".join([*lines, advice]))


def is_taken(port: int) -> bool:
    """Say whether something listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _holder(port: int) -> str:
    """Say which process listens on a port."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,) and connection.pid:
                process = psutil.Process(connection.pid)
                return f"process {process.pid}: {' '.join(process.cmdline())[:120]}"
    return "a process of another user"
