"""Who takes which event."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.auditor.commands import check_order, evaluate_holds, exclude, force, reject, release, review
from tests.auditor.customers import policy_removed, policy_updated, updated
from tests.auditor.groups import credit_requested, group_closed, group_updated, member_reported
from tests.auditor.journals import created, generated, journal_posted, line_posted, lines_added, lines_removed
from tests.auditor.membership import answered, membership_changed
from tests.auditor.orders import cancelled, changed, closed, delivered, placed, reached, reopened
from tests.auditor.partition import Event, Part
from tests.auditor.receivables import applied, credited, disputed, posted, received, reversed_, voided
from tests.auditor.reference import rate_published, settings_published, ticked

if TYPE_CHECKING:
    from tests.auditor.world import World

NOT_MODELLED = ("UpdateRiskScores", "UpdateBalanceStatistics", "SubmitForApproval", "Approve", "Decline", "Recall",
                "ResubmitDeadLetter")  # fmt: skip


def not_modelled(world: World, event: Event, part: Part) -> None:
    """Approvals, scores and statistics are not this auditor's matter."""
    world.expected.loose.add("*")


HANDLERS: dict[str, Callable[[World, Event, Part], None]] = {
    "OrderPlaced": placed,
    "OrderChanged": changed,
    "OrderCheckpointReached": reached,
    "OrderDelivered": delivered,
    "OrderCancelled": cancelled,
    "OrderClosed": closed,
    "OrderReopened": reopened,
    "InvoicePosted": posted,
    "CreditNotePosted": credited,
    "InvoiceVoided": voided,
    "InvoiceDisputed": disputed,
    "PaymentReceived": received,
    "PaymentApplied": applied,
    "PaymentReversed": reversed_,
    "CustomerUpdated": updated,
    "PolicyUpdated": policy_updated,
    "PolicyRemoved": policy_removed,
    "CreditGroupUpdated": group_updated,
    "CreditGroupClosed": group_closed,
    "SettingsPublished": settings_published,
    "ExchangeRatePublished": rate_published,
    "ClockTicked": ticked,
    "ReleaseOrder": release,
    "RejectOrder": reject,
    "ForceHold": force,
    "ExcludeOrder": exclude,
    "ReviewOrder": review,
    "EvaluateHolds": evaluate_holds,
    "CheckOrder": check_order,
    "CreateLimitJournal": created,
    "AddJournalLines": lines_added,
    "RemoveJournalLines": lines_removed,
    "GenerateJournalLines": generated,
    "PostLimitJournal": journal_posted,
    "JournalLinePosted": line_posted,
    "GroupLimitPosted": line_posted,
    "GroupMemberReported": member_reported,
    "GroupCreditRequested": credit_requested,
    "GroupCreditAnswered": answered,
    "GroupMembershipChanged": membership_changed,
    **dict.fromkeys(NOT_MODELLED, not_modelled),
}
