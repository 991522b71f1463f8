"""`manage.py recipe`: kept recipes, and fixing many failed deliveries by rules from a shell."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from deliveries.filters import FilterError
from deliveries.management.cli import work_off
from deliveries.models import BulkFix, Delivery, Recipe
from deliveries.recipes.keeping import switch_off
from deliveries.recipes.requests import request_fix, request_preview, scope_of
from deliveries.recipes.rules import RULES, RuleError, parse_rules
from deliveries.recipes.sheets import SheetError, cell_text, read_csv
from deliveries.resolution import ResolutionError
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import parse_public_id
from integrations.foundation.json_places import PlaceError, parse_place, spelled
from integrations.management.base import ReportCommand, find_store
from integrations.models import Store

ACTOR: Final = Actor(None, "manage.py recipe")
REFUSALS: Final = (RuleError, FilterError, PlaceError, ResolutionError, SheetError)


class Command(ReportCommand):
    help = (
        "list: kept recipes. off ID: switch one off. preview and apply: one field of many failed deliveries, fixed by "
        "rules. Rules are --rule trim --rule 'prefix to=+254 from=00254,254,0 add=on', in order, or --rules FILE."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("what", choices=["list", "preview", "apply", "off"])
        parser.add_argument("recipe", nargs="?", help="With off: rcp_…")
        parser.add_argument("--like", metavar="DELIVERY", help="All that fail as this delivery (dlv_…) does.")
        for name, words in (
            ("integration", "The slug of an integration."),
            ("topic", "order.paid, or order.* for everything below it."),
            ("since", "2026-01-31 or 2026-01-31T08:00:00Z."),
            ("until", "As --since."),
        ):
            parser.add_argument(f"--{name}", help=words)
        parser.add_argument("--store", help="Name or id of a store.")
        parser.add_argument("--field", help="shipping_address.phone or items[0].price.")
        parser.add_argument("--rule", action="append", default=[], metavar="RULE", help=f"One of {', '.join(RULES)}.")
        parser.add_argument("--rules", metavar="FILE", help="A JSON array of rules; - reads from stdin.")
        parser.add_argument("--values", metavar="FILE", help="With apply: CSV with columns object and value after.")
        parser.add_argument("--rows", type=int, default=20, help="With preview: how many rows to show (default: 20).")
        parser.add_argument("--update-records", action="store_true", help="With apply: also correct the records.")
        parser.add_argument("--include-unlike", action="store_true", help="With apply: also what is unlike others.")
        parser.add_argument("--reason", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            {"list": self._list, "off": self._off, "preview": self._preview, "apply": self._apply}[options["what"]](
                options
            )
        except RuleError as error:
            place = "" if error.position is None else f"Rule {error.position + 1}: "
            raise CommandError(f"{place}{error.message}") from None
        except REFUSALS as error:
            raise CommandError(str(error)) from None

    def _list(self, options: dict[str, Any]) -> None:
        rows = Recipe.objects.select_related("store", "integration").order_by("-is_active", "-created_at")
        if options["store"]:
            rows = rows.filter(store=find_store(options["store"]))
        found = [_described(one) for one in rows]
        lines = [
            f"{'active' if one['is_active'] else 'off':<7} {one['id']}  {one['uses']:>6,} fixed, "
            f"{one['failed_again']:,} failed again  {one['topic']} → {one['integration']}: {one['name']}"
            for one in found
        ]
        self.report(options, found, "\n".join(lines) or "No recipe is kept.")

    def _off(self, options: dict[str, Any]) -> None:
        pk = parse_public_id("rcp", options["recipe"] or "")
        recipe = Recipe.objects.filter(pk=pk).select_related("integration").first() if pk else None
        if recipe is None:
            raise CommandError(f"Unknown recipe {options['recipe']!r}. `manage.py recipe list` shows their ids.")
        changed = switch_off(recipe=recipe, actor=ACTOR, reason=options["reason"])
        self.report(options, _described(recipe), "Switched off." if changed else "It was off already.")

    def _preview(self, options: dict[str, Any]) -> None:
        store, scope = _scope(options)
        plan = request_preview(
            scope=scope, store=store, field=_field(options), rules=_rules(options), limit=max(0, options["rows"])
        )
        rows = [
            {
                "object": row.member.name,
                "now": cell_text(row.before),
                "after": cell_text(row.after) if row.has_after else "",
                "verdict": row.verdict,
                "why": row.why,
            }
            for row in plan.rows
        ]
        document = {"counts": plan.counts, "matching": plan.matching, "checked": plan.reached, "rows": rows}
        lines = [f"{row['object']}: {row['now']!r} → {row['after']!r}  {row['verdict']} {row['why']}" for row in rows]
        self.report(options, document, "\n".join([_counted(plan.counts), *lines]))

    def _apply(self, options: dict[str, Any]) -> None:
        store, scope = _scope(options)
        values = {}
        if options["values"]:
            values = {line.key: line.text for line in read_csv(_read(options["values"]))}
        fix = request_fix(
            scope=scope,
            store=store,
            field=_field(options),
            rules=_rules(options),
            actor=ACTOR,
            values=values,
            updates_records=options["update_records"],
            includes_unlike=options["include_unlike"],
            reason=options["reason"],
        )
        if fix.replay is not None:
            work_off(fix.replay, "Fixing")
        done = fix.items.filter(is_written=True).count()
        document = {"fix": fix.public_id, "status": fix.status, "total": fix.total, "sent": done, "counts": fix.counts}
        if fix.status == BulkFix.Status.AWAITING:
            text = f"{fix.total:,} deliveries await approval in the admin: {fix.public_id}."
        else:
            text = f"{done:,} deliveries were fixed and queued again, {fix.total - done:,} were skipped."
        self.report(options, document, text)


def _scope(options: dict[str, Any]) -> tuple[Store, dict[str, Any]]:
    if options["like"]:
        pk = parse_public_id("dlv", options["like"])
        delivery = Delivery.objects.select_related("store").filter(pk=pk).first() if pk else None
        if delivery is None:
            raise CommandError(f"Unknown delivery {options['like']!r}.")
        return delivery.store, scope_of({"like": options["like"]}, delivery.store)
    store = find_store(options["store"])
    filters = {name: options[name] for name in ("integration", "topic", "since", "until") if options[name]}
    if not filters:
        raise CommandError("Say which deliveries: --like DELIVERY, or --integration, --topic, --since.")
    return store, scope_of({"filter": filters}, store)


def _field(options: dict[str, Any]) -> str:
    if not options["field"]:
        raise CommandError("Say which field: --field shipping_address.phone.")
    return str(options["field"])


def _rules(options: dict[str, Any]) -> list[dict[str, Any]]:
    if options["rules"]:
        try:
            found = json.loads(_read(options["rules"]))
        except ValueError as error:
            raise CommandError(f"{options['rules']} is not JSON: {error}.") from None
        return [step.as_json() for step in parse_rules(found)]
    return [_rule(text) for text in options["rule"]]


def _rule(text: str) -> dict[str, Any]:
    """`prefix to=+254 from=00254,254,0 add=on`"""
    name, *given = shlex.split(text)
    rule: dict[str, Any] = {"rule": name}
    for part in given:
        option, sign, value = part.partition("=")
        if not sign:
            raise CommandError(f"{part!r} in --rule {text!r} is no option. Write it as name=value.")
        rule[option] = value
    return rule


def _read(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from None


def _counted(counts: dict[Any, int]) -> str:
    return (
        f"{counts['fits']:,} fit, {counts['unlike']:,} unlike those that arrived, {counts['unchanged']:,} unchanged, "
        f"{counts['breaks']:,} do not fit."
    )


def _described(recipe: Recipe) -> dict[str, Any]:
    return {
        "id": recipe.public_id,
        "name": recipe.name,
        "is_active": recipe.is_active,
        "off_reason": recipe.off_reason,
        "integration": recipe.integration.slug,
        "topic": recipe.topic,
        "field": spelled(parse_place(recipe.place)),
        "rules": recipe.rules,
        "uses": recipe.uses,
        "succeeded": recipe.succeeded,
        "failed_again": recipe.failed_again,
        "expires_at": recipe.expires_at,
    }
