"""Figures beside their rivals and targets, as a table and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Target:
    """What a value should reach: `least` must, `best` would be welcome. `is_ceiling`: lower is better."""

    least: float
    best: float
    unit: str = ""
    is_ceiling: bool = False

    def verdict(self, value: float) -> str:
        if self.is_ceiling:
            return "best" if value <= self.best else "met" if value <= self.least else "short"
        return "best" if value >= self.best else "met" if value >= self.least else "short"

    def __str__(self) -> str:
        sign = "≤" if self.is_ceiling else "≥"
        return f"{sign} {self.least:g}{self.unit} (go for {self.best:g})"


@dataclass(slots=True)
class Figure:
    """One measured value. With a `rival`, the target is about value / rival_value, else about the value itself."""

    scenario: str
    name: str
    value: float
    unit: str
    rival: str = ""
    rival_value: float | None = None
    target: Target | None = None
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        return self.value / self.rival_value if self.rival_value else None

    @property
    def verdict(self) -> str:
        judged = self.ratio if self.rival else self.value
        return self.target.verdict(judged) if self.target is not None and judged is not None else ""

    def as_document(self) -> dict[str, Any]:
        target = str(self.target) if self.target else None
        return {**asdict(self), "target": target, "ratio": self.ratio, "verdict": self.verdict or None}


def written(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


_COLOURS = {"best": "bold green", "met": "green", "short": "bold red", "": ""}
_WORDS = {"best": "reached, and more", "met": "reached", "short": "FALLS SHORT", "": ""}


def draw(figures: list[Figure], console: Console) -> None:
    table = Table(title="Hookdesk benchmarks", show_lines=False, pad_edge=False)
    for heading, side in (
        ("figure", "left"), ("measured", "right"), ("rival", "left"), ("ratio", "right"), ("target", "left"),
        ("", "left"), ("note", "left"),
    ):  # fmt: skip
        table.add_column(heading, justify=side, overflow="fold")  # type: ignore[arg-type]
    scenario = ""
    for figure in figures:
        if figure.scenario != scenario:
            scenario = figure.scenario
            table.add_section()
            table.add_row(f"[bold]{scenario}[/bold]")
        rival = f"{figure.rival}: {written(figure.rival_value)}" if figure.rival_value is not None else ""
        verdict = figure.verdict
        table.add_row(
            f"  {figure.name}",
            f"{written(figure.value)} {figure.unit}",
            rival,
            f"{figure.ratio:.3g} ×" if figure.ratio else "",
            str(figure.target or ""),
            f"[{_COLOURS[verdict]}]{_WORDS[verdict]}[/]" if verdict else "",
            figure.note,
        )
    console.print(table)


def as_markdown(figures: list[Figure]) -> str:
    """The rows of docs/benchmarks.md."""
    lines = ["| figure | measured | rival | ratio | target | |", "|---|---|---|---|---|---|"]
    scenario = ""
    for figure in figures:
        if figure.scenario != scenario:
            scenario = figure.scenario
            lines.append(f"| **{scenario}** | | | | | |")
        rival = f"{figure.rival} {written(figure.rival_value)}" if figure.rival_value is not None else ""
        ratio = f"{figure.ratio:.3g} ×" if figure.ratio else ""
        verdict = _WORDS[figure.verdict].replace("FALLS SHORT", "**falls short**")
        name = f"{figure.name} ({figure.note})" if figure.note else figure.name
        cells = name, f"{written(figure.value)} {figure.unit}", rival, ratio, str(figure.target or ""), verdict
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
