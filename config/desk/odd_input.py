"""Malformed input that no page accepts, rejected once in front of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError

NUL = "\0"
SENTENCE = "The {place} contains a NUL character (%00). Remove it and try again."


class RefuseNul:
    """NUL characters in an address: 404. In the query string or the fields of a form: 400, with their place.

    PostgreSQL cannot store them, and SQLite ends text at them. The API does its own checks: its bodies are JSON, which
    `strict_json` reads, and its filters and ids are refused by name.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(("/api/", "/in/")):
            if NUL in request.path_info:
                raise Http404("Addresses cannot contain a NUL character.")
            if "%00" in request.META.get("QUERY_STRING", ""):
                _refuse(request.GET.lists(), "parameter")
            if request.method == "POST":
                self._look_at_form(request)
        return self.get_response(request)

    def _look_at_form(self, request: HttpRequest) -> None:
        try:
            fields = request.POST
        except UnreadablePostError:
            raise BadRequest("The form was received incompletely. Submit it again.") from None
        _refuse(fields.lists(), "field")


def _refuse(pairs: Iterable[tuple[str, Sequence[object]]], place: str) -> None:
    for name, values in pairs:
        if NUL in name or any(isinstance(text, str) and NUL in text for text in values):
            shown = name.replace(NUL, "")[:40]
            raise BadRequest(SENTENCE.format(place=f"{place} “{shown}”"))
