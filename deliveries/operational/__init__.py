"""Operational events: what happens to deliveries, integrations, cases and recipes, as events that any subscription may
take (docs/operational-events.md).

They are noted in a table in the transaction in which something happened, one row each, and only where a subscription
takes them; `publishing` makes events of them afterwards. About deliveries of these events themselves there are none.
"""
