"""`/api/v1/channels` (docs/contract.md#channels). Thin: read, call a service, show."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations.api.authentication import principal_of
from integrations.api.bodies import body_of
from integrations.api.errors import APIError, not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import page
from integrations.api.views import actor_of, store_of
from notifications.channel_services import ChannelValues, channels_of, delete_channel, save_channel, shown
from notifications.channels import CHANNEL_KINDS, ChannelError
from notifications.models import Channel, Notification
from notifications.outbox import send_test


class ChannelBodySerializer(serializers.Serializer[Any]):
    """The body of POST and PATCH. The services validate it; this only documents it."""

    name = serializers.CharField(max_length=100)
    kind = serializers.ChoiceField(list(CHANNEL_KINDS))
    options = serializers.DictField(help_text="The kind's own fields. Secrets are shown as ***, which keeps them.")
    min_severity = serializers.ChoiceField(Notification.Level.values, required=False)
    integrations = serializers.ListField(child=serializers.CharField(), required=False, help_text="Slugs; empty: all.")
    active = serializers.BooleanField(required=False)


class ChannelSerializer(ChannelBodySerializer):
    id = serializers.CharField()


class ChannelTestAnswerSerializer(serializers.Serializer[Any]):
    sent = serializers.BooleanField()
    status = serializers.IntegerField(allow_null=True, help_text="The receiver's; null where it is not known.")


def channel_json(channel: Channel) -> dict[str, Any]:
    return {"id": str(channel.pk), **shown(channel)}


def channel_of(request: Request, channel_id: str) -> Channel:
    """Raises not_found, including for another store's."""
    mine = channels_of(principal_of(request).store_id)
    is_number = channel_id.isascii() and channel_id.isdecimal() and len(channel_id) <= 18
    found = mine.filter(pk=int(channel_id)).first() if is_number else None
    if found is None:
        raise not_found("channel")
    return found


def _values(request: Request) -> ChannelValues:
    """The settable members; others of the body are ignored."""
    body = body_of(request)
    return {name: body[name] for name in ChannelValues.__annotations__ if name in body}  # type: ignore[return-value]


class ChannelsView(APIView):
    @extend_schema(
        operation_id="list_channels",
        parameters=[CURSOR, LIMIT],
        responses=answers(page_of(ChannelSerializer, "Channel"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        return page(request, channels_of(principal_of(request).store_id), channel_json)

    @extend_schema(
        operation_id="create_channel",
        request=ChannelBodySerializer,
        responses=answers(ChannelSerializer, status=201, more=(400,)),
    )
    def post(self, request: Request) -> Response:
        channel = save_channel(channel=None, store=store_of(request), actor=actor_of(request), values=_values(request))
        return Response(channel_json(channel), status=201)


class ChannelView(APIView):
    @extend_schema(operation_id="get_channel", responses=answers(ChannelSerializer, more=(404,)))
    def get(self, request: Request, channel_id: str) -> Response:
        return Response(channel_json(channel_of(request, channel_id)))

    @extend_schema(
        operation_id="update_channel",
        request=ChannelBodySerializer(partial=True),
        responses=answers(ChannelSerializer, more=(400, 404)),
    )
    def patch(self, request: Request, channel_id: str) -> Response:
        found = channel_of(request, channel_id)
        changed = save_channel(channel=found, store=store_of(request), actor=actor_of(request), values=_values(request))
        return Response(channel_json(changed))

    @extend_schema(operation_id="delete_channel", responses=answers(None, status=204, more=(404,)))
    def delete(self, request: Request, channel_id: str) -> Response:
        delete_channel(channel=channel_of(request, channel_id), store=store_of(request), actor=actor_of(request))
        return Response(status=204)


class ChannelTestView(APIView):
    @extend_schema(
        operation_id="test_channel", request=None, responses=answers(ChannelTestAnswerSerializer, more=(404, 502))
    )
    def post(self, request: Request, channel_id: str) -> Response:
        """Sends a test to each recipient now."""
        channel = channel_of(request, channel_id)
        status = None
        try:
            for recipient in channel.recipients:
                status = send_test(channel=channel, recipient=recipient)
        except ChannelError as error:
            raise APIError(502, f"The test was not sent. {error.message}", code="bad_gateway") from error
        return Response({"sent": True, "status": status})
