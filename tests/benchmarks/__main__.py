"""`python -m tests.benchmarks`: run the scenarios, print the table, write the JSON.

Exits with 1 if a ledger shows that something was lost or doubled or if a scenario broke down, never because a
figure falls short: that is printed as such.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shlex
import signal
import sys
import time
import traceback
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks.environment import has_postgresql, remove_templates
from tests.benchmarks.figures import Figure, as_markdown, draw
from tests.benchmarks.measures import machine
from tests.benchmarks.options import Options
from tests.benchmarks.programs import CompilerMissing, build_program

SCENARIOS = {
    "throughput": "deliveries per second to a fast receiver, beside the naive design and the ceilings",
    "slow": "receivers that take 50 and 500 ms: how many are in dispatch",
    "hanging": "10 of 100 integrations never answer: what the others notice",
    "ingest": "pushes per second, single and in batches, beside bare PostgreSQL",
    "latency": "from push to receiver, idle and at half load",
    "footprint": "memory and idle processor time of a whole installation",
    "live": "events accepted and delivered at once under `manage.py run`, beside the limit of what could be",
    "backlog": "cost of a delivery with up to a million due and ten million finished",
}


def parse(values: list[str]) -> argparse.Namespace:
    listed = "\n".join(f"  {name:<11} {text}" for name, text in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Benchmarks of Hookdesk; docs/benchmarks.md says how to read them.",
        epilog=f"scenarios:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default=",".join(SCENARIOS), metavar="NAMES", help="scenarios, comma-separated")
    parser.add_argument("--quick", action="store_true", help="a few minutes: small numbers, one run of each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures with their details")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as in docs/benchmarks.md")
    parser.add_argument("--databases", default="postgresql,sqlite", metavar="NAMES")
    parser.add_argument("--transports", default="requests,curl", metavar="NAMES")
    parser.add_argument("--repeat", type=int, metavar="N", help="runs per figure, the median counts (3; quick: 1)")
    parser.add_argument("--backlogs", metavar="SIZES", help="due deliveries (1000,100000,1000000; quick: 1000,50000)")
    parser.add_argument("--finished", type=int, metavar="N", help="finished ones behind (10000000; quick: 50000)")
    live = parser.add_argument_group("of the scenario live")
    live.add_argument("--parts", default=",".join(Options().parts), metavar="NAMES", help="of rates, load, stored")
    live.add_argument("--clients", default="1,8,50,200", metavar="NUMBERS", help="keep-alive connections")
    live.add_argument("--event-size", type=int, default=350, metavar="BYTES", help="of a request's body")
    live.add_argument("--subscriptions", type=int, default=1, metavar="N", help="that match each event")
    live.add_argument("--filters", action="store_true", help="each subscription has a filter, which all events pass")
    chosen = parser.parse_args(values)
    chosen.only = [name for name in chosen.only.split(",") if name]
    if unknown := sorted(set(chosen.only) - set(SCENARIOS)):
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    return chosen


def options_of(chosen: argparse.Namespace, console: Console) -> Options:
    databases = tuple(chosen.databases.split(","))
    if "postgresql" in databases and not has_postgresql():
        console.print("PostgreSQL does not answer (TEST_POSTGRESQL_URL): its figures are left out.", style="yellow")
        databases = tuple(name for name in databases if name != "postgresql")
    transports = tuple(chosen.transports.split(","))
    if "curl" in transports and find_spec("pycurl") is None:
        console.print("pycurl is not installed: the figures of the transport curl are left out.", style="yellow")
        transports = tuple(name for name in transports if name != "curl")
    backlogs = chosen.backlogs or ("1000,50000" if chosen.quick else "1000,100000,1000000")
    finished = chosen.finished if chosen.finished is not None else 50_000 if chosen.quick else 10_000_000
    return Options(
        is_quick=chosen.quick,
        databases=databases,
        transports=transports,
        repeat=chosen.repeat or (1 if chosen.quick else 3),
        backlogs=tuple(int(size) for size in backlogs.split(",")),
        finished=finished,
        parts=tuple(chosen.parts.split(",")),
        clients=tuple(int(number) for number in chosen.clients.split(",")),
        event_size=chosen.event_size,
        subscriptions=chosen.subscriptions,
        is_filtered=chosen.filters,
    )


def run_scenario(name: str, options: Options, console: Console) -> tuple[list[Figure], str]:
    """Its figures, and what broke it, if anything did."""
    figures: list[Figure] = []
    started = time.monotonic()
    console.print(f"[bold]{name}[/bold]: {SCENARIOS[name]}")
    try:
        for figure in importlib.import_module(f"tests.benchmarks.scenarios.{name}").run(options):
            figures.append(figure)
            rival = f"  ({figure.ratio:.3g} × {figure.rival})" if figure.ratio else ""
            console.print(f"  {figure.name}: {figure.value:,.4g} {figure.unit}{rival} [dim]{figure.note}[/dim]")
    except Exception as error:
        console.print(f"  [bold red]broke down:[/bold red] {error}", markup=True)
        return figures, "".join(traceback.format_exception(error))
    console.print(f"  [dim]{time.monotonic() - started:.0f} s[/dim]")
    return figures, ""


def main(values: list[str] | None = None) -> int:
    chosen = parse(sys.argv[1:] if values is None else values)
    # Into a file or a pipe the table goes in its full width.
    console = Console() if sys.stdout.isatty() else Console(width=190)
    try:
        build_program("receiver")
        build_program("load")
    except CompilerMissing as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 1
    # Scratch databases and processes go away on SIGTERM too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = options_of(chosen, console)
    report: dict[str, Any] = {
        "command": shlex.join(["python", "-m", "tests.benchmarks", *(sys.argv[1:] if values is None else values)]),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
    }
    figures: list[Figure] = []
    faults: dict[str, str] = {}
    try:
        for name in chosen.only:
            found, fault = run_scenario(name, options, console)
            figures += found
            if fault:
                faults[name] = fault
    finally:
        remove_templates()
    draw(figures, console)
    report |= {"figures": [figure.as_document() for figure in figures], "faults": faults}
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    if chosen.markdown:
        chosen.markdown.write_text(as_markdown(figures) + "\n")
    for name, fault in faults.items():
        print(f"error: {name} broke down:\n{fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
