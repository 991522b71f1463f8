"""The texts of the desk and their translations. `make messages` brings `config/locale` up to date with the code.

Babel and Django's own reader of templates, instead of `makemessages`: that needs GNU gettext on every machine. The
compiled catalogues are committed, so that a checkout speaks all its languages without a step.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.template.base import Lexer, TokenType
from django.utils.translation.template import templatize

ROOT: Final = Path(__file__).resolve().parent.parent
LOCALE: Final = ROOT / "config" / "locale"
#: With how each forms its plurals. Babel's rule for French has a third form, for millions, which Django's has not.
LANGUAGES: Final = {"de": "nplurals=2; plural=(n != 1);", "fr": "nplurals=2; plural=(n > 1);"}
APPS: Final = ("config", "integrations", "subscriptions", "deliveries", "notifications")
KEYWORDS: Final[dict[str, tuple[int | tuple[int, str], ...] | None]] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
#: For headers that have no date of their own: the same texts give the same bytes.
EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
HEADER: Final = "# The desk of Hookdesk in another language. Written by `make messages`; edit the texts only.\n"


def sources() -> Iterator[tuple[Path, str]]:
    """Modules and templates, as Python that Babel reads."""
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path, path.read_text()
    for path in templates():
        python = templatize(path.read_text(), origin=str(path))
        yield path, "\n".join(line.strip() for line in python.splitlines())


def templates() -> list[Path]:
    return sorted(path for ending in ("*.html", "*.txt") for path in (ROOT / "templates").rglob(ending))


def extracted() -> Catalog:
    """What the code and the templates say."""
    catalog = Catalog(charset="utf-8", fuzzy=False)
    for path, text in sources():
        found = extract("python", io.BytesIO(text.encode()), keywords=KEYWORDS, comment_tags=("Translators:",))
        for _line, message, comments, context in found:
            if not message or (isinstance(message, tuple) and not message[0]):
                continue
            place = (str(path.relative_to(ROOT)), 1)
            catalog.add(message, None, [place], auto_comments=comments, context=context)
    return catalog


def empty(language: str) -> Catalog:
    catalog = Catalog(locale=language, charset="utf-8", fuzzy=False)
    catalog.mime_headers = [("Plural-Forms", LANGUAGES[language])]
    return catalog


def catalogue(language: str) -> Catalog:
    """The translations as they are committed."""
    path = LOCALE / language / "LC_MESSAGES" / "django.po"
    if not path.exists():
        return empty(language)
    with path.open("rb") as file:
        return read_po(file, locale=language, charset="utf-8")


def updated(language: str, template: Catalog) -> Catalog:
    """The translations, with all texts of now and no other ones."""
    old, new = catalogue(language), empty(language)
    for message in template:
        if message.id:
            known = old.get(_key(message), message.context)
            said = known.string if known is not None and known.id == message.id else None
            new.add(message.id, said, message.locations, auto_comments=message.auto_comments, context=message.context)
    return new


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def written(catalog: Catalog) -> tuple[bytes, bytes]:
    """The two files of a language."""
    text, compiled = io.BytesIO(), io.BytesIO()
    catalog.header_comment = HEADER.strip()
    write_po(text, catalog, width=0, sort_by_file=True, include_lineno=False, omit_header=True)
    head = "\n".join(
        f'"{name}: {value}\\n"'
        for name, value in catalog.mime_headers
        if name in {"Language", "Plural-Forms", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
    )
    po = f'{HEADER}msgid ""\nmsgstr ""\n{head}\n\n'.encode() + text.getvalue()
    read = read_po(io.BytesIO(po), locale=catalog.locale, charset="utf-8")
    read.creation_date = read.revision_date = EPOCH
    write_mo(compiled, read)
    return po, compiled.getvalue()


def untranslated(catalog: Catalog) -> list[Message]:
    return [m for m in catalog if m.id and not all([m.string] if isinstance(m.string, str) else m.string or [""])]


def troubles() -> list[str]:
    """Everything that keeps the desk from speaking all its languages, a line each."""
    template = extracted()
    found = [
        f"{path.relative_to(ROOT)}: not marked: {text}" for path in templates() for text in unmarked(path.read_text())
    ]
    for language in LANGUAGES:
        new = updated(language, template)
        folder = LOCALE / language / "LC_MESSAGES"
        files = tuple((folder / name).read_bytes() if (folder / name).exists() else b"" for name in FILES)
        if files != written(new):
            found.append(f"{language}: not up to date; run make messages")
        found += [f"{language}: not translated: {_key(message)!r}" for message in untranslated(new)]
        found += [f"{language}: {_key(message)!r}: {error}" for message, errors in new.check() for error in errors]
    return found


FILES: Final = ("django.po", "django.mo")


def main() -> int:
    template = extracted()
    for language in LANGUAGES:
        new = updated(language, template)
        folder = LOCALE / language / "LC_MESSAGES"
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in zip(FILES, written(new), strict=True):
            (folder / name).write_bytes(data)
        print(f"{language}: {len(new)} texts, {len(untranslated(new))} of them not translated")
    return 0


# What a template says without asking for a translation ----------------------------------------------------------------

SILENT: Final = {"script", "style", "code", "kbd", "pre", "samp", "svg", "template-data"}
SPOKEN: Final = {"title", "alt", "placeholder", "aria-label", "label", "data-label"}
#: Names, which are the same in every language.
NAMES: Final = re.compile(
    r"\b(Hookdesk|API|JSON|CSV|TSV|NDJSON|URL|XML|HTTP|HTTPS|JMESPath|ID|SMS|UTC|TOTP|OpenAPI|Twilio|Turn\.io"
    r"|Intercom|Sarufi|Spiffy|ms|px|p50|p95|p99|OK|PDF|YAML|Esc|Ctrl|Enter)\b"
)
#: Constants in tags that a person reads: `{{ x|default:"none" }}`, `{% ago x "never" %}`, `with title="…"`.
CONSTANT: Final = re.compile(r"""(?<!_\()(?:"([^"]*)"|'([^']*)')""")
PLAIN_TAGS: Final = {
    "url", "load", "static", "include", "extends", "translate", "trans", "blocktranslate", "blocktrans", "if", "elif",
    "query", "for", "with", "comment", "ifchanged", "cycle", "regroup", "now", "autoescape", "block",
}  # fmt: skip


def unmarked(source: str) -> list[str]:
    """Texts of a template that people read and that no tag translates, and constructions that only English has."""
    html: list[str] = []
    found: list[str] = []
    depth = 0
    for token in Lexer(CLASSES.sub("", source)).tokenize():
        if token.token_type == TokenType.TEXT:
            html.append("" if depth else token.contents)
            continue
        html.append("0" if token.token_type == TokenType.VAR else " ")
        if token.token_type == TokenType.COMMENT:
            continue
        tag = token.contents.split(None, 1)[0] if token.contents.split() else ""
        if token.token_type == TokenType.BLOCK and tag in {"blocktranslate", "blocktrans", "comment"}:
            depth += 1
        elif token.token_type == TokenType.BLOCK and tag in {"endblocktranslate", "endblocktrans", "endcomment"}:
            depth -= 1
        found += _constants(token.contents, tag, is_value=token.token_type == TokenType.VAR)
    reader = Reader()
    reader.feed("".join(html))
    return found + reader.found


def _constants(contents: str, tag: str, *, is_value: bool) -> Iterator[str]:
    if "|pluralize" in contents:
        yield f"pluralize: {contents}"
    for filter_name in ("yesno", "default", "default_if_none"):
        if re.search(rf"""\|{filter_name}:["'][^"']*[A-Za-z]{{2}}""", contents):
            yield f"{filter_name}: {contents}"
    if is_value or tag in PLAIN_TAGS - {"include", "with"}:
        return
    for double, single in CONSTANT.findall(contents):
        text = double or single
        if is_said(text) and re.search("^[A-Z][a-z]|[a-z] [a-z]", text):
            yield f"{tag}: {text}"


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{name}={value!r}" for name, value in attrs if name in SPOKEN and is_said(value or "")]
        if tag in SILENT:
            self._silent += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT and self._silent:
            self._silent -= 1

    def handle_data(self, data: str) -> None:
        if not self._silent and is_said(data):
            self.found.append(" ".join(data.split()))


CLASSES: Final = re.compile("{% block bodyclass %}.*?{% endblock %}")
#: Commands, addresses and names of fields, which are the same in every language.
CODE: Final = re.compile(r"https?://\S+|(?:python manage\.py|make) .*|\w+(?:\.\w+)+")


def is_said(text: str) -> bool:
    """Whether it has a word that is not the same in every language."""
    if CODE.fullmatch(text.strip()):
        return False
    return re.search(r"[^\W\d_]{2,}", NAMES.sub("", text)) is not None


if __name__ == "__main__":
    sys.exit(main())
