"""(h) The way of one event while everything runs: events come in and go out at once, under `manage.py run`.

Beside it, in the same run, the grouped chain (the limit: see grouped_chain.py) and, at low rates, the bare chain.
Clients are keep-alive connections that send the next event when the one before is answered. After each stretch of load
everything accepted must be delivered and recorded, or there is no figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from tests.benchmarks.bare_chain import bare_chain
from tests.benchmarks.contenders import TOPIC, Contender, Window, hookdesk, request_of, run_window
from tests.benchmarks.environment import Installation, Plot, scratch
from tests.benchmarks.figures import Figure, Target
from tests.benchmarks.grouped_chain import grouped_chain
from tests.benchmarks.loadgen import run_load
from tests.benchmarks.measures import percentile
from tests.benchmarks.options import Options
from tests.benchmarks.receiver import LedgerReceiver
from tests.benchmarks.scenarios.latency import come_in

SCENARIO = "Live: events accepted and delivered at once"
#: The topic of events that nobody has subscribed to.
UNHEARD = "other.moved"
FILTER = "status == 'ready' && cost > `1`"
IDLE_RATE, LIGHT_RATE = 8.0, 100.0
RIVAL, BARE = "grouped chain", "bare chain"
#: Of the grouped chain's rate. Svix 1.x reaches 0.3 of it at 8 clients and 0.15 at 50: these are 2 and 4 times Svix.
RATES = {8: Target(0.6, 0.8, " ×"), 50: Target(0.6, 0.8, " ×")}
COSTS = {
    1: Target(1600, 1200, " µs", is_ceiling=True),
    8: Target(900, 600, " µs", is_ceiling=True),
    50: Target(500, 350, " µs", is_ceiling=True),
    200: Target(500, 350, " µs", is_ceiling=True),
}
TAILS = {50: Target(60, 50, " ms", is_ceiling=True)}
STORED = {8: Target(3000, 5000, "/s"), 50: Target(5000, 8000, "/s"), 200: Target(5000, 8000, "/s")}
LIKE_BARE = Target(1.1, 1.0, " ×", is_ceiling=True)
STEADY = Target(2, 1.5, " ×", is_ceiling=True)

#: Of a rival, what Hookdesk is compared with: (part, clients or rate) → rate or median.
Rivals = dict[tuple[str, float], float]


def run(options: Options) -> Iterator[Figure]:
    for database in options.databases:
        rivals: Rivals = {}
        if database == "postgresql":
            yield from _rivals(options, rivals)
        for transport in options.transports:
            with ExitStack() as stack:
                installation = stack.enter_context(scratch(database, TRANSPORT=transport))
                receiver = stack.enter_context(LedgerReceiver())
                plot = installation.seed(_destinations(options, receiver))
                contender = stack.enter_context(hookdesk(installation, receiver, plot))
                yield from _parts(options, contender, plot, f"{database}, {transport}", rivals)


def _destinations(options: Options, receiver: LedgerReceiver) -> list[dict[str, object]]:
    text = FILTER if options.is_filtered else ""
    url = f"http://127.0.0.1:{receiver.port}/i"
    return [{"url": f"{url}/{number}", "topics": [TOPIC], "filter": text} for number in range(options.subscriptions)]


def _rivals(options: Options, rivals: Rivals) -> Iterator[Figure]:
    with scratch("postgresql") as installation, LedgerReceiver() as receiver:
        plot = installation.seed(_destinations(options, receiver)[:1])
        if "rates" in options.parts:
            yield from _bare_rates(options, installation, receiver, plot, rivals)
    with scratch("postgresql") as installation, LedgerReceiver() as receiver:
        plot = installation.seed(_destinations(options, receiver)[:1])
        with grouped_chain(installation, receiver) as contender:
            for figure in _parts(options, contender, plot, f"{RIVAL}, postgresql", {}):
                key = figure.details.get("key")
                if key:
                    rivals[key[0], key[1]] = figure.value
                figure.target = None
                yield figure


def _bare_rates(
    options: Options, installation: Installation, receiver: LedgerReceiver, plot: Plot, rivals: Rivals
) -> Iterator[Figure]:
    """What this machine needs for the commits and wake-ups alone."""
    with bare_chain(installation, receiver) as port:
        request = request_of(installation, plot, size=options.event_size)
        first = 1
        for rate, seconds in _rates(options):
            start = receiver.count
            load = run_load(port, request, seconds=seconds, connections=16, rate=rate, first=first).require_clean()
            first += load.sent
            entries = come_in(receiver, start, load.accepted)
            times = [(entry.received_us - entry.sent_us) / 1000 for entry in entries]
            rivals[BARE, rate] = percentile(times, 0.5)
            name = f"{BARE}, postgresql, {rate:.0f}/s"
            yield Figure(SCENARIO, f"{name}: p50", rivals[BARE, rate], "ms", note=f"{len(times)} deliveries")
            yield Figure(SCENARIO, f"{name}: p99", percentile(times, 0.99), "ms")


def _rates(options: Options) -> list[tuple[float, float]]:
    return [(IDLE_RATE, options.seconds(40, 12)), (LIGHT_RATE, options.seconds(20, 6))]


def _parts(options: Options, contender: Contender, plot: Plot, name: str, rivals: Rivals) -> Iterator[Figure]:
    request = request_of(contender.installation, plot, size=options.event_size)
    run_window(contender, request, seconds=2, clients=8)  # caches, plans, connections
    if "rates" in options.parts:
        for rate, seconds in _rates(options):
            window = run_window(contender, request, seconds=seconds, clients=16, rate=rate)
            yield from _latency_figures(f"{name}, {rate:.0f}/s", window, rivals.get((BARE, rate)))
    if "load" in options.parts:
        for clients in options.clients:
            window = run_window(contender, request, seconds=options.seconds(12, 5), clients=clients)
            yield from _load_figures(name, clients, window, rivals)
    if "stored" in options.parts:
        yield from _stored_figures(options, contender, plot, name)


def _latency_figures(name: str, window: Window, bare: float | None) -> Iterator[Figure]:
    middle, last = percentile(window.latencies, 0.5), percentile(window.latencies, 0.99)
    rival, target = (BARE, LIKE_BARE) if bare else ("", None)
    yield Figure(SCENARIO, f"{name}: p50", middle, "ms", rival, bare, target, _costs(window))
    yield Figure(SCENARIO, f"{name}: p99", last, "ms", "its p50", middle, STEADY)


def _load_figures(name: str, clients: int, window: Window, rivals: Rivals) -> Iterator[Figure]:
    name = f"{name}, {clients} client{'s' if clients > 1 else ''}"
    doubled = f"; {window.doubled} doubled" if window.doubled else ""
    note = f"accepted {window.load.rate:,.0f}/s; {len(window.entries):,} deliveries, none lost{doubled}"
    chain = rivals.get(("load", clients))
    rival, target = (RIVAL, RATES.get(clients)) if chain else ("", None)
    details = {"key": ("load", clients), "answer_p50_us": window.load.p50_us, "answer_p99_us": window.load.p99_us}
    what = f"{name}: accepted and delivered"
    yield Figure(SCENARIO, what, window.rate, "events/s", rival, chain, target, note, details)
    cost, times = window.whole_cpu_us, {kind: round(time, 1) for kind, time in window.cpu_us.items()}
    what = f"{name}: processor time of an event"
    yield Figure(
        SCENARIO, what, cost, "µs", target=COSTS.get(clients), note=_costs(window), details={"by_kind_us": times}
    )
    middle, last = percentile(window.latencies, 0.5), percentile(window.latencies, 0.99)
    yield Figure(SCENARIO, f"{name}: push → receiver, p50", middle, "ms")
    yield Figure(SCENARIO, f"{name}: push → receiver, p99", last, "ms", target=TAILS.get(clients))


def _costs(window: Window) -> str:
    times = sorted(window.cpu_us.items())
    parts = [f"{kind} {time:,.0f}" for kind, time in times if kind != "server"]
    beside = f" (PostgreSQL's own writers {window.cpu_us['server']:,.0f})" if "server" in window.cpu_us else ""
    return f"µs per event: {' + '.join(parts)}{beside}"


def _stored_figures(options: Options, contender: Contender, plot: Plot, name: str) -> Iterator[Figure]:
    request = request_of(contender.installation, plot, size=options.event_size, topic=UNHEARD)
    for clients in options.clients:
        if clients == 1:
            continue
        window = run_window(contender, request, seconds=options.seconds(8, 4), clients=clients, is_stored_only=True)
        note = f"answer p50 {window.load.p50_us / 1000:.1f}, p99 {window.load.p99_us / 1000:.1f} ms; {_costs(window)}"
        yield Figure(
            SCENARIO,
            f"{name}, {clients} clients, no subscription: only stored",
            window.load.rate,
            "events/s",
            target=STORED.get(clients),
            note=note,
            details={"key": ("stored", clients)},
        )
