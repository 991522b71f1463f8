"""What a failed attempt means, by the kind of its error and the status of its response: the words of a diagnosis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from django.utils.translation import gettext_lazy

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Choice = Literal["edit", "integration", "retry", "wait", "discard"]

#: Title, explanation, and the card of the wizard that is suggested.
Verdict: TypeAlias = "tuple[StrOrPromise, StrOrPromise, Choice]"

BY_KIND: dict[str, Verdict] = {
    "timeout": (
        gettext_lazy("The receiver was too slow"),
        gettext_lazy(
            "It accepted the connection but did not answer in time. It may be overloaded, or may have done the work "
            "anyway: check before you resend what must not happen twice. You can set a longer timeout on the "
            "integration."
        ),
        "retry",
    ),
    "dns": (
        gettext_lazy("The receiver's host name does not resolve"),
        gettext_lazy(
            "No address was found for the host in the integration's URL. Usually the URL is mistyped, or the "
            "domain has expired."
        ),
        "integration",
    ),
    "connection": (
        gettext_lazy("The receiver cannot be reached"),
        gettext_lazy(
            "Nothing listens at the integration's address, or the connection was cut. If the receiver is only down for "
            "now, resend once it is back; if it has moved, correct the URL."
        ),
        "retry",
    ),
    "tls": (
        gettext_lazy("The receiver's certificate is not valid"),
        gettext_lazy(
            "The connection was not made, because it would not have been safe: the certificate has expired, is for "
            "another name, or has no trusted issuer. The receiver must renew it, or the URL is wrong."
        ),
        "integration",
    ),
    "refused_address": (
        gettext_lazy("This address is not allowed"),
        gettext_lazy(
            "The integration's URL leads to a private or reserved address. Correct the URL, or have the administrator "
            "allow that network in OUTBOUND_ALLOW."
        ),
        "integration",
    ),
    "protocol": (
        gettext_lazy("The response was not valid HTTP"),
        gettext_lazy(
            "Something answers at this address, but not with valid HTTP. Check the host, port and http or "
            "https in the integration's URL."
        ),
        "integration",
    ),
    "request_id_mismatch": (
        gettext_lazy("The response belongs to another request"),
        gettext_lazy(
            "The request_id in the response is not the one that was sent. The receiver mixes up its responses: contact "
            "its operators; resending may help in the meantime."
        ),
        "retry",
    ),
    "configuration": (
        gettext_lazy("The integration is not fully configured"),
        gettext_lazy("The request could not be built, because something is missing or wrong in the integration."),
        "integration",
    ),
    "internal": (
        gettext_lazy("Hookdesk hit an internal error"),
        gettext_lazy(
            "Something in the delivery's data or settings is unexpected. The worker's log has the details. Resend once "
            "that is fixed."
        ),
        "integration",
    ),
    "payload": (
        gettext_lazy("The payload cannot be sent in this format"),
        gettext_lazy("The request could not be built from this payload."),
        "edit",
    ),
    "schema": (
        gettext_lazy("The payload violates its topic's schema"),
        gettext_lazy("The data does not have the agreed structure."),
        "edit",
    ),
    "filter": (
        gettext_lazy("The subscription's filter failed"),
        gettext_lazy("The filter could not be applied to this payload. Correct the filter, or the payload."),
        "integration",
    ),
    "transform": (
        gettext_lazy("The subscription's transform failed"),
        gettext_lazy("The transform could not be applied to this payload. Correct the transform, or the payload."),
        "integration",
    ),
    "interrupted": (
        gettext_lazy("Sending was interrupted"),
        gettext_lazy(
            "The worker stopped during the attempt, so it is unknown whether the receiver got it. It is resent with "
            "the same request id, so that the receiver can deduplicate it."
        ),
        "retry",
    ),
}

BY_STATUS: dict[int, Verdict] = {
    401: (
        gettext_lazy("The receiver does not accept our credentials"),
        gettext_lazy(
            "The token is wrong, has expired or was revoked. Put the right one into the integration and resend."
        ),
        "integration",
    ),
    403: (
        gettext_lazy("The receiver denies access"),
        gettext_lazy(
            "We are not authorised. The token lacks a permission, or our address is not on the receiver's allowlist."
        ),
        "integration",
    ),
    404: (
        gettext_lazy("Nothing was found at this address"),
        gettext_lazy(
            "The receiver does not know the URL, or the object in the payload. Check the integration's URL and the "
            "subscription's path first."
        ),
        "integration",
    ),
    405: (
        gettext_lazy("The receiver does not accept POST there"),
        gettext_lazy("The URL or path is probably wrong."),
        "integration",
    ),
    408: (
        gettext_lazy("The receiver timed out"),
        gettext_lazy("It was too slow or overloaded. Resending usually helps."),
        "retry",
    ),
    410: (
        gettext_lazy("The endpoint is gone (410)"),
        gettext_lazy(
            "The receiver says that this address has been removed. If it has moved, correct the URL and resend; "
            "else discard."
        ),
        "integration",
    ),
    413: (
        gettext_lazy("The payload is too large for the receiver"),
        gettext_lazy("Shorten it, or have the receiver accept larger bodies."),
        "edit",
    ),
    429: (
        gettext_lazy("The receiver is rate-limiting us (429)"),
        gettext_lazy(
            "Too many requests in a short time. It is retried automatically; a rate limit on the integration prevents "
            "this."
        ),
        "retry",
    ),
}
REDIRECT: Verdict = (
    gettext_lazy("The receiver redirects to another address"),
    gettext_lazy(
        "It answered with a redirect, which is never followed, because credentials would be sent along. Put the new "
        "address into the integration."
    ),
    "integration",
)
SERVER: Verdict = (
    gettext_lazy("The receiver has an internal error"),
    gettext_lazy("Usually temporary. If it persists, contact the receiver's operators."),
    "retry",
)
REFUSED: Verdict = (
    gettext_lazy("The receiver rejected this payload as invalid"),
    gettext_lazy("It understood the request but rejects the data: resending it unchanged would fail again."),
    "edit",
)
UNKNOWN: Verdict = (
    gettext_lazy("The attempt failed"),
    gettext_lazy("See the attempts below for the request and the response."),
    "retry",
)
