"""A story as a picture: SVG, or the text of Graphviz or of Mermaid for those who draw it themselves."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from grandalf.graphs import Edge, Graph, Vertex
from grandalf.layouts import SugiyamaLayout
from matplotlib import rc_context
from matplotlib.figure import Figure

from shared.errors import BadInput
from shared.story import Condition, Story, Thing

_FILL: Final[Mapping[Condition, str]] = {"whole": "#e8f3e8", "gone": "#f7f0d5", "wrong": "#f6d5d5"}
_WIDTH, _HEIGHT, _X_SPACE, _Y_SPACE = 180, 44, 20, 50
_LONGEST: Final = 34

Place = tuple[float, float]


def write(story: Story, file: Path) -> None:
    """Write the picture, in the form that the file's name asks for. Raises: BadInput."""
    draw = _FORMS.get(file.suffix)
    if draw is None:
        raise BadInput(f"{file}: a graph is written as {', '.join(_FORMS)}")
    try:
        draw(story, file)
    except OSError as error:
        raise BadInput(f"{file}: {error}") from error


def places(story: Story) -> dict[str, Place]:
    """Return where the middle of each thing stands, above what it came from (Sugiyama's layout, by grandalf)."""
    vertices = {thing.name: _Numbered(thing.name, number) for number, thing in enumerate(story.things)}
    ends = [(vertices[link.of], vertices[link.origin]) for link in story.links if link.origin in vertices]
    edges = [_Edge(*end, number) for number, end in enumerate(ends, len(vertices))]
    found: dict[str, Place] = {}
    left = 0.0
    for component in Graph(list(vertices.values()), edges).C:
        layout = SugiyamaLayout(component)
        layout.xspace, layout.yspace = _X_SPACE, _Y_SPACE
        layout.init_all()
        layout.draw()
        xy = {vertex.data: vertex.view.xy for vertex in component.sV}
        leftmost = min(x for x, _ in xy.values())
        found |= {name: (x - leftmost + left, y) for name, (x, y) in xy.items()}
        left = max(x for x, _ in found.values()) + _WIDTH + _X_SPACE
    return found


class _Box:
    """What grandalf asks of a thing: its size; it sets `xy`."""

    def __init__(self) -> None:
        self.w, self.h = _WIDTH, _HEIGHT
        self.xy: Place = (0.0, 0.0)


class _Numbered(Vertex):  # type: ignore[misc]
    """A thing with a number: grandalf goes through sets, whose order is else where things happen to be in memory."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(name)
        self.number = number
        self.view = _Box()

    def __hash__(self) -> int:
        return self.number


class _Edge(Edge):  # type: ignore[misc]
    """A link with a number, for the same reason."""

    def __init__(self, of: Vertex, origin: Vertex, number: int) -> None:
        super().__init__(of, origin)
        self.number = number

    def __hash__(self) -> int:
        return self.number


def _svg(story: Story, file: Path) -> None:
    at = places(story)
    width = max(x for x, _ in at.values()) + _WIDTH + _X_SPACE
    height = max(y for _, y in at.values()) + _HEIGHT + _Y_SPACE
    figure = Figure(figsize=(width / 72, height / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-_WIDTH / 2 - _X_SPACE, width - _WIDTH / 2)
    axes.set_ylim(height - _HEIGHT / 2, -_HEIGHT / 2 - _Y_SPACE / 2)
    for link in story.links:
        if link.of in at and link.origin in at:
            (x0, y0), (x1, y1) = at[link.of], at[link.origin]
            tip, end = (x1, y1 - _HEIGHT / 2), (x0, y0 + _HEIGHT / 2)
            axes.annotate("", tip, end, arrowprops={"arrowstyle": "-|>", "color": "#888888", "linewidth": 0.8})
            axes.text((x0 + x1) / 2, (y0 + y1) / 2, link.how, fontsize=6, color="#555555", ha="center", va="center")
    for thing in story.things:
        box = {
            "boxstyle": "round,pad=0.6",
            "facecolor": _FILL[thing.condition],
            "edgecolor": "#777777",
            "linewidth": 0.8,
        }
        axes.text(*at[thing.name], _label(thing), fontsize=7, ha="center", va="center", bbox=box, linespacing=1.4)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "marquee", "text.parse_math": False}):
        figure.savefig(file, format="svg", metadata={"Date": None})


def _dot(story: Story, file: Path) -> None:
    lines = [
        f'  {_quoted(thing.name)} [label={_quoted(_label(thing))}, fillcolor="{_FILL[thing.condition]}"];'
        for thing in story.things
    ]
    lines += [f"  {_quoted(each.of)} -> {_quoted(each.origin)} [label={_quoted(each.how)}];" for each in story.links]
    head = '  node [shape=box, style="rounded,filled", fontname="sans-serif"];'
    file.write_text("\n".join(["digraph story {", head, *lines, "}", ""]))


def _mermaid(story: Story, file: Path) -> None:
    number = {thing.name: f"n{place}" for place, thing in enumerate(story.things)}
    lines = [f'  {number[each.name]}["{_entities(_label(each))}"]:::{each.condition}' for each in story.things]
    lines += [
        f'  {number[each.of]} -->|"{_entities(each.how)}"| {number[each.origin]}'
        for each in story.links
        if each.origin in number
    ]
    styles = [f"  classDef {condition} fill:{colour}" for condition, colour in _FILL.items()]
    file.write_text("\n".join(["flowchart TD", *lines, *styles, ""]))


_FORMS: Final[Mapping[str, Callable[[Story, Path], None]]] = {".svg": _svg, ".dot": _dot, ".mmd": _mermaid}


def _label(thing: Thing) -> str:
    name = thing.name if len(thing.name) <= _LONGEST else f"{thing.name[: _LONGEST - 12]}…{thing.name[-11:]}"
    return f"{thing.kind}\n{name}" + (f"\n{thing.condition}" if thing.condition != "whole" else "")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace("\n", "<br>")
