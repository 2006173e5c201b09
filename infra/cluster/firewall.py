"""Which firewall rules are the cluster's, and how to take away those alone. Pure."""

import re
from collections.abc import Collection, Iterator
from itertools import groupby
from typing import Final

_CHAIN: Final = re.compile(r"(KUBE|CNI)-")
_JUMP: Final = re.compile(r"(?:-j|-g|--jump|--goto) (\S+)")


def chains(saved: str) -> set[str]:
    """Return the chains of Kubernetes and CNI in the output of iptables-save."""
    return {line[1:].split()[0] for line in saved.splitlines() if line.startswith(":") and _CHAIN.match(line[1:])}


def removal(saved: str, before: Collection[str]) -> str:
    """Return what `iptables-restore --noflush` must read to take away what the cluster added.

    Args: saved, the output of iptables-save; before, the chains of Kubernetes and CNI that were there already, which
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
