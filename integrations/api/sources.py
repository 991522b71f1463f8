"""`/api/v1/sources` (docs/contract.md#sources). Thin: read, call a service, show."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations.api.authentication import principal_of
from integrations.api.bodies import body_of
from integrations.api.errors import not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import page
from integrations.api.serializers import SecretAnswerSerializer
from integrations.api.views import actor_of, store_of
from integrations.models import Source
from integrations.services import (
    ROTATION_OVERLAP,
    SourceValues,
    create_source,
    delete_source,
    rotate_address,
    rotate_source_secret,
    update_source,
)
from integrations.sources import SOURCE_KINDS


class MappingSerializer(serializers.Serializer[Any]):
    """JMESPath over `{"headers", "query", "body"}`; null: the kind's default."""

    topic = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    intent = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    object_type = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    object_id = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    data = serializers.CharField(required=False, allow_null=True, allow_blank=True)  # type: ignore[assignment]  # the contract's word
    dedupe = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, help_text="false: nothing is a duplicate."
    )

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return {str(name): instance.get(name) for name in self.fields}


class SourceCountsSerializer(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    rejected = serializers.IntegerField()
    ignored = serializers.IntegerField()


class SourceSerializer(serializers.Serializer[Source]):
    """Never contains secrets."""

    slug = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(list(SOURCE_KINDS))
    options = serializers.DictField()
    mapping = MappingSerializer()
    mode = serializers.ChoiceField(Source.Mode.values)
    is_enabled = serializers.BooleanField()
    address = serializers.CharField(help_text="The URL that the sender is given.")
    warning = serializers.CharField(allow_blank=True, help_text="What whoever set it up should know.")
    last_request_at = serializers.DateTimeField(allow_null=True)
    counts = SourceCountsSerializer(source="counts_by_verdict", help_text="Requests by what became of them.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class NewSourceSerializer(SourceSerializer):
    secret = serializers.CharField(allow_null=True, help_text="Shown only once; null if there is none yet.")


class SourceBodySerializer(serializers.Serializer[Any]):
    """The body of POST and PATCH. The services validate it; this only documents it."""

    name = serializers.CharField(max_length=200)
    slug = serializers.SlugField(max_length=100, required=False, help_text="Derived from the name if absent.")
    kind = serializers.ChoiceField(list(SOURCE_KINDS))
    secret = serializers.CharField(
        required=False,
        write_only=True,
        allow_null=True,
        allow_blank=True,
        max_length=500,
        help_text="Generated if absent where the kind lets us. A new one replaces the old, which counts for 24 hours.",
    )
    options = serializers.DictField(required=False, allow_null=True, help_text="What the kind needs.")
    mapping = MappingSerializer(required=False, allow_null=True)
    mode = serializers.ChoiceField(Source.Mode.values, required=False, allow_null=True)
    is_enabled = serializers.BooleanField(required=False)


class AddressAnswerSerializer(serializers.Serializer[Any]):
    address = serializers.CharField()
    old_address_expires_at = serializers.DateTimeField(help_text="Until then both work.")


def source_of(request: Request, slug: str) -> Source:
    """Raises not_found, including for another store's."""
    mine = Source.objects.alive().filter(store_id=principal_of(request).store_id, slug=slug)
    found = mine.prefetch_related("counts").first()
    if found is None:
        raise not_found("source")
    return found


def source_json(source: Source) -> dict[str, Any]:
    return dict(SourceSerializer(source).data)


def _values(request: Request) -> Any:
    """The settable fields; other members of the body are ignored."""
    return {name: value for name, value in body_of(request).items() if name in SourceValues.__annotations__}


class SourcesView(APIView):
    @extend_schema(
        operation_id="list_sources",
        parameters=[CURSOR, LIMIT],
        responses=answers(page_of(SourceSerializer, "Source"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        mine = Source.objects.alive().filter(store_id=principal_of(request).store_id)
        return page(request, mine.prefetch_related("counts"), source_json)

    @extend_schema(
        operation_id="create_source",
        request=SourceBodySerializer,
        responses=answers(NewSourceSerializer, status=201, more=(400, 409)),
    )
    def post(self, request: Request) -> Response:
        source = create_source(store=store_of(request), actor=actor_of(request), **_values(request))
        secrets = source.active_secrets(timezone.now())
        return Response(source_json(source) | {"secret": secrets[0] if secrets else None}, status=201)


class SourceView(APIView):
    @extend_schema(operation_id="get_source", responses=answers(SourceSerializer, more=(404,)))
    def get(self, request: Request, slug: str) -> Response:
        return Response(source_json(source_of(request, slug)))

    @extend_schema(
        operation_id="update_source",
        request=SourceBodySerializer(partial=True),
        responses=answers(SourceSerializer, more=(400, 404, 409)),
    )
    def patch(self, request: Request, slug: str) -> Response:
        source = update_source(source=source_of(request, slug), actor=actor_of(request), **_values(request))
        return Response(source_json(source))

    @extend_schema(operation_id="delete_source", responses=answers(None, status=204, more=(404, 409)))
    def delete(self, request: Request, slug: str) -> Response:
        delete_source(source=source_of(request, slug), actor=actor_of(request))
        return Response(status=204)


class RotateAddressView(APIView):
    @extend_schema(
        operation_id="rotate_source_address",
        request=None,
        responses=answers(AddressAnswerSerializer, more=(404, 409)),
    )
    def post(self, request: Request, slug: str) -> Response:
        now = timezone.now()
        address = rotate_address(source=source_of(request, slug), actor=actor_of(request), now=now)
        answer = {"address": address, "old_address_expires_at": now + ROTATION_OVERLAP}
        return Response(AddressAnswerSerializer(answer).data)


class RotateSourceSecretView(APIView):
    @extend_schema(
        operation_id="rotate_source_secret",
        request=None,
        responses=answers(SecretAnswerSerializer, more=(400, 404, 409)),
    )
    def post(self, request: Request, slug: str) -> Response:
        now = timezone.now()
        secret = rotate_source_secret(source=source_of(request, slug), actor=actor_of(request), now=now)
        answer = {"secret": secret, "old_secret_expires_at": now + ROTATION_OVERLAP}
        return Response(SecretAnswerSerializer(answer).data)
