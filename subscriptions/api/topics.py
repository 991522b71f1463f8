"""`/api/v1/topics` (docs/contract.md#management-api)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations.api.authentication import principal_of
from integrations.api.bodies import body_of
from integrations.api.errors import not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import page
from integrations.api.views import actor_of, store_of
from subscriptions.api.serializers import TopicBodySerializer, TopicSerializer, topic_json
from subscriptions.models import Topic
from subscriptions.services import TopicValues, create_topic, delete_topic, update_topic


def topic_of(request: Request, name: str) -> Topic:
    """Raises not_found, including for another store's."""
    found = None if "\0" in name else Topic.objects.filter(store_id=principal_of(request).store_id, name=name).first()
    if found is None:
        raise not_found("topic")
    return found


def values_of(request: Request) -> Any:
    return {name: value for name, value in body_of(request).items() if name in TopicValues.__annotations__}


class TopicsView(APIView):
    @extend_schema(
        operation_id="list_topics",
        parameters=[CURSOR, LIMIT],
        responses=answers(page_of(TopicSerializer, "Topic"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        rows = Topic.objects.filter(store_id=principal_of(request).store_id)
        return page(request, rows, topic_json, by=("name",), is_descending=False)

    @extend_schema(
        operation_id="create_topic",
        request=TopicBodySerializer,
        responses=answers(TopicSerializer, status=201, more=(400, 409)),
    )
    def post(self, request: Request) -> Response:
        topic = create_topic(store=store_of(request), actor=actor_of(request), **values_of(request))
        return Response(topic_json(topic), status=201)


class TopicView(APIView):
    @extend_schema(operation_id="get_topic", responses=answers(TopicSerializer, more=(404,)))
    def get(self, request: Request, name: str) -> Response:
        return Response(topic_json(topic_of(request, name)))

    @extend_schema(
        operation_id="update_topic",
        request=TopicBodySerializer(partial=True),
        responses=answers(TopicSerializer, more=(400, 404, 409)),
    )
    def patch(self, request: Request, name: str) -> Response:
        topic = topic_of(request, name)
        return Response(topic_json(update_topic(topic=topic, actor=actor_of(request), **values_of(request))))

    @extend_schema(operation_id="delete_topic", responses=answers(None, status=204, more=(404,)))
    def delete(self, request: Request, name: str) -> Response:
        delete_topic(topic=topic_of(request, name), actor=actor_of(request))
        return Response(status=204)
