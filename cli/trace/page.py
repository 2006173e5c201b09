"""A story as text: the answer, and beneath each thing what it came from."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.text import Text
from rich.tree import Tree

from cli.console import moment
from shared.story import Condition, Story, Thing

MARKS: Final[Mapping[Condition, tuple[str, str]]] = {
    "whole": ("✓", "green"),
    "gone": ("-", "yellow"),
    "wrong": ("✗", "red"),
}
_MOMENTS: Final = {"time", "ingested_at", "at", "decided_at", "evaluated_at"}


def page(story: Story) -> Tree:
    """Return a story to print: what has been told already is named, and not told again."""
    answer, *others = story.things
    told = {answer.name}
    root = _branch(answer, "")
    _grow(root, answer, story, told)
    for thing in others:
        if thing.name not in told:  # what is known of the model besides, and led to nothing
            told.add(thing.name)
            _grow(root.add(_branch(thing, "")), thing, story, told)
    return root


def _grow(tree: Tree, thing: Thing, story: Story, told: set[str]) -> None:
    for how, origin in story.origins(thing.name):
        if origin.name in told:
            tree.add(Text.assemble((how, "italic"), " ", origin.name))
            continue
        told.add(origin.name)
        branch = _branch(origin, how)
        tree.add(branch)
        _grow(branch, origin, story, told)


def _branch(thing: Thing, how: str) -> Tree:
    mark, colour = MARKS[thing.condition]
    head = Text.assemble((f"{how} " if how else "", "italic"), (mark, colour), f" {thing.kind} ", (thing.name, "bold"))
    for why in thing.why:
        head.append(f"\n{why}", colour)
    for line in _lines(thing.facts):
        head.append(f"\n{line}", "none")
    return Tree(head)


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield facts, a line each; small mappings in one line."""
    for name, value in facts.items():
        if isinstance(value, Mapping) and any(isinstance(each, Mapping) for each in value.values()):
            yield f"{name}:"
            yield from (f"  {line}" for line in _lines(value))
        else:
            yield f"{name}: {_plain(name, value)}"


def _plain(name: str, value: Any) -> str:
    if name in _MOMENTS and isinstance(value, int):
        return moment(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{inner} {_plain(str(inner), each)}" for inner, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
