"""Which firewall rules are the cluster's, the one that keeps others out, and how to take away those alone. Pure."""

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from typing import Final

from infra.cluster.machine import BRIDGE, ROUTER_PORT

BARRIER: Final = "MARQUEE-BARRIER"
"""The chain that keeps out what comes by other interfaces than the loopback and the bridge."""

_CHAIN: Final = re.compile(r"(KUBE|CNI|MARQUEE)-")
_JUMP: Final = re.compile(r"(?:-j|-g|--jump|--goto) (\S+)")


def chains(saved: str) -> set[str]:
    """Return the chains of Kubernetes, CNI and ourselves in the output of iptables-save."""
    return {line[1:].split()[0] for line in saved.splitlines() if line.startswith(":") and _CHAIN.match(line[1:])}


def barrier(saved: str, networks: Iterable[str]) -> str:
    """Return what `iptables-restore --noflush` must read so that nobody outside reaches the cluster; "" if it has.

    Packets for these networks, of pods and Services, and for the port of kube-router, which listens on every address,
    are dropped before a Service becomes the address of its pod. What answers a pod comes for the host, and is let in.
    """
    if BARRIER in chains(saved):
        return ""
    ours = [*(f"-d {network}" for network in networks), f"-p tcp --dport {ROUTER_PORT} -m addrtype --dst-type LOCAL"]
    rules = [
        f":{BARRIER} - [0:0]",
        *(f"-A {BARRIER} -i {interface} -j RETURN" for interface in ("lo", BRIDGE)),
        f"-A {BARRIER} -j DROP",
        *(f"-I PREROUTING {packets} -j {BARRIER}" for packets in ours),
    ]
    return "\n".join(["*mangle", *rules, "COMMIT", ""])


def removal(saved: str, before: Collection[str]) -> str:
    """Return what `iptables-restore --noflush` must read to take away what the cluster added.

    Args: saved, the output of iptables-save; before, the chains of such names that were there already, which
    belong to others and stay, as does every rule that leads to none of ours.
    """
    ours = chains(saved) - set(before)
    return "".join(f"{line}\n" for table in _tables(saved) for line in _without(table, ours))


def _tables(saved: str) -> Iterator[list[str]]:
    lines = [line for line in saved.splitlines() if line and not line.startswith("#")]
    for is_end, table in groupby(lines, lambda line: line == "COMMIT"):
        if not is_end:
            yield list(table)


def _without(table: list[str], ours: Collection[str]) -> list[str]:
    """Return a table's lines: our chains emptied, rules of others that lead to them deleted, our chains deleted."""
    name, *lines = table
    mine = [line[1:].split()[0] for line in lines if line.startswith(":") and line[1:].split()[0] in ours]
    if not mine:
        return []
    leading = [
        line.replace("-A ", "-D ", 1)
        for line in lines
        if line.startswith("-A ") and line.split()[1] not in ours and (jump := _JUMP.search(line)) and jump[1] in ours
    ]
    return [name, *(f":{chain} - [0:0]" for chain in mine), *leading, *(f"-X {chain}" for chain in mine), "COMMIT"]
