"""Drawings as SVG text: shapes with a style by class, nothing else. Pure.

Coordinates are pixels, y grows downwards. Texts may hold any character.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

__all__ = ["Shape", "circle", "document", "line", "rectangle", "text"]

_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 }
  .heading { font-weight: 600 }
  .quiet { fill: #6e7781 }
  .paper { fill: #ffffff }
  .axis { stroke: #d0d7de }
  .range { stroke-width: 3 }
  .warm { fill: #0969da; stroke: #0969da }
  .plain { fill: #8c959f; stroke: #8c959f }
  .peer { fill: #bf8700; stroke: #bf8700 }
  .must { stroke: #cf222e; stroke-width: 2 }
  .aim { stroke: #1a7f37; stroke-width: 2 }
"""

type Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True)
class Shape:
    """One element, as text."""

    markup: str


def rectangle(x: float, y: float, width: float, height: float, *, style: str) -> Shape:
    return Shape(f"<rect{_numbers(x=x, y=y, width=width, height=height)} class={quoteattr(style)}/>")


def line(x1: float, y1: float, x2: float, y2: float, *, style: str) -> Shape:
    return Shape(f"<line{_numbers(x1=x1, y1=y1, x2=x2, y2=y2)} class={quoteattr(style)}/>")


def circle(x: float, y: float, radius: float, *, style: str) -> Shape:
    return Shape(f"<circle{_numbers(cx=x, cy=y, r=radius)} class={quoteattr(style)}/>")


def text(x: float, y: float, content: str, *, anchor: Anchor = "start", style: str = "label") -> Shape:
    """Text whose baseline is at `y`."""
    return Shape(f'<text{_numbers(x=x, y=y)} text-anchor="{anchor}" class={quoteattr(style)}>{escape(content)}</text>')


def document(width: float, height: float, shapes: Iterable[Shape], *, description: str) -> str:
    """A whole file; `description` is for those who cannot see it."""
    body = "\n".join(f"  {shape.markup}" for shape in (rectangle(0, 0, width, height, style="paper"), *shapes))
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(description)}>\n'
        f"  <style>{_STYLE}  </style>\n{body}\n</svg>\n"
    )


def _numbers(**values: float) -> str:
    return "".join(f' {name}="{round(value, 2):g}"' for name, value in values.items())
