"""What people did with python-intercom 3.1.0, with another base URL. Arguments: API, token, webhook.

Prints one JSON document of what came back.
"""

import json
import sys

from intercom import errors
from intercom.client import Client

api, token, webhook = sys.argv[1:]
intercom = Client(personal_access_token=token)
intercom.base_url = api
seen = {}

made = intercom.subscriptions.create(service_type="web", url=webhook, topics=["users.created"], hub_secret="HELLO")
other = intercom.subscriptions.create(url=webhook, topics=["user.deleted"])
seen["created"] = [made.topics, made.active, made.url, made.service_type]
found = intercom.subscriptions.find(id=made.id)
seen["found"] = found.id == made.id
seen["all"] = sorted(each.id for each in intercom.subscriptions.all()) == sorted([made.id, other.id])
found.topics = ["user.created", "contact"]
seen["saved"] = intercom.subscriptions.save(found).topics
seen["posted"] = intercom.post(f"/subscriptions/{made.id}", {"topics": ["user"], "url": webhook})["topics"]
events = {"service_type": "web", "topics": ["event.created"], "url": webhook, "metadata": {"event_names": ["invited"]}}
seen["metadata"] = intercom.post("/subscriptions/", events)["metadata"]
seen["pinged"] = intercom.post(f"/subscriptions/{made.id}/ping", "")["id"] == made.id
seen["sent"] = intercom.get(f"/subscriptions/{made.id}/sent", {})["type"]
seen["error"] = intercom.get(f"/subscriptions/{made.id}/error", {})["notifications"]
seen["deleted"] = intercom.subscriptions.delete(other).id == other.id
seen["left"] = len(list(intercom.subscriptions.all()))
try:
    intercom.subscriptions.find(id=other.id)
except errors.ResourceNotFound as error:
    seen["not_found"] = str(error)
try:
    intercom.subscriptions.create(url=webhook)
except errors.BadRequestError as error:
    seen["refused"] = str(error)
json.dump(seen, sys.stdout)
