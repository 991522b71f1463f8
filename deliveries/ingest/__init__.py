"""Ingest: validate what applications push, plan it, write it in one transaction, wake the engines."""

from deliveries.ingest.service import Receipt, publish_events, push_objects

__all__ = ["Receipt", "publish_events", "push_objects"]
