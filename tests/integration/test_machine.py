import psutil

from tests.integration.conftest import Marquee


def test_it_listens_where_it_says_and_nowhere_else(marquee: Marquee) -> None:
    """Two machines on one computer never meet, and none is open to the network."""
    listening = {
        (connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port)
        for process in marquee.stack.processes()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", port) for each in marquee.stack.status() for port in each.ports}
