"""What programs propose and people decide: edits, resends, discards, backfills and bulk fixes."""

from deliveries.proposals.asking import (
    propose_backfill,
    propose_bulk,
    propose_delivery,
    propose_discard,
    propose_edit,
    propose_fix,
    propose_retry,
    refuse_more,
)
from deliveries.proposals.deciding import approve_proposal, reject_proposal

__all__ = [
    "approve_proposal",
    "propose_backfill",
    "propose_bulk",
    "propose_delivery",
    "propose_discard",
    "propose_edit",
    "propose_fix",
    "propose_retry",
    "refuse_more",
    "reject_proposal",
]
