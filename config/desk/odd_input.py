"""Malformed input that no page accepts, rejected once in front of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.utils import translation
from django.utils.translation import gettext as _

from config.desk.language import language_of

NUL = "\0"


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
                self._refuse(request, request.GET.lists(), is_form=False)
            if request.method == "POST":
                self._look_at_form(request)
        return self.get_response(request)

    def _look_at_form(self, request: HttpRequest) -> None:
        try:
            fields = request.POST
        except UnreadablePostError:
            with translation.override(language_of(request)):
                raise BadRequest(_("The form was received incompletely. Submit it again.")) from None
        self._refuse(request, fields.lists(), is_form=True)

    def _refuse(self, request: HttpRequest, pairs: Iterable[tuple[str, Sequence[object]]], *, is_form: bool) -> None:
        for name, values in pairs:
            if NUL not in name and not any(isinstance(text, str) and NUL in text for text in values):
                continue
            with translation.override(language_of(request)):
                if is_form:
                    sentence = _("The field “%(name)s” contains a NUL character (%%00). Remove it and try again.")
                else:
                    sentence = _("The parameter “%(name)s” contains a NUL character (%%00). Remove it and try again.")
                raise BadRequest(sentence % {"name": name.replace(NUL, "")[:40]})
