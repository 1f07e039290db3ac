"""The names of the streams, and which record belongs on which (interface sections 2 and 4)."""

from __future__ import annotations

from credit_stream.core import events, outputs

ORDERS = "credit.orders"
INVOICES = "credit.invoices"
PAYMENTS = "credit.payments"
CUSTOMERS = "credit.customers"
GROUPS = "credit.groups"
COMMANDS = "credit.commands"
SETTINGS = "credit.settings"
CLOCK = "credit.clock"
"""Ticks that came from outside (files and HTTP); those that a task makes itself are in `credit.sequence` only."""
INBOX = "credit.inbox"
"""Where a host without topics of its own (files, HTTP) puts lines whose type cannot be told."""
POSTINGS = "credit.postings"
"""Between tasks: lines of posted journals, by customer."""
GROUP_REQUESTS = "credit.group-requests"
"""Between tasks: what a customer's task asks the task of its credit group, by group."""
GROUP_ANSWERS = "credit.group-answers"
"""Between tasks: what the group's task answers, by customer."""

DECISIONS = "credit.decisions"
HOLDS = "credit.holds"
EXPOSURES = "credit.exposures"
SCORES = "credit.scores"
LIMITS = "credit.limits"
JOURNALS = "credit.journals"
STATISTICS = "credit.statistics"
RUNS = "credit.runs"
DEAD_LETTERS = "credit.dead-letters"

STATE = "credit.state"
SEQUENCE = "credit.sequence"

TOPIC_OF_EVENT: dict[type[events.Event], str] = {
    events.OrderPlaced: ORDERS,
    events.OrderChanged: ORDERS,
    events.OrderCheckpointReached: ORDERS,
    events.OrderDelivered: ORDERS,
    events.OrderCancelled: ORDERS,
    events.OrderClosed: ORDERS,
    events.OrderReopened: ORDERS,
    events.InvoicePosted: INVOICES,
    events.CreditNotePosted: INVOICES,
    events.InvoiceVoided: INVOICES,
    events.InvoiceDisputed: INVOICES,
    events.PaymentReceived: PAYMENTS,
    events.PaymentApplied: PAYMENTS,
    events.PaymentReversed: PAYMENTS,
    events.CustomerUpdated: CUSTOMERS,
    events.PolicyUpdated: CUSTOMERS,
    events.PolicyRemoved: CUSTOMERS,
    events.CreditGroupUpdated: GROUPS,
    events.CreditGroupClosed: GROUPS,
    events.ReleaseOrder: COMMANDS,
    events.RejectOrder: COMMANDS,
    events.ForceHold: COMMANDS,
    events.ExcludeOrder: COMMANDS,
    events.ReviewOrder: COMMANDS,
    events.EvaluateHolds: COMMANDS,
    events.SubmitForApproval: COMMANDS,
    events.Approve: COMMANDS,
    events.Decline: COMMANDS,
    events.Recall: COMMANDS,
    events.CreateLimitJournal: COMMANDS,
    events.AddJournalLines: COMMANDS,
    events.RemoveJournalLines: COMMANDS,
    events.GenerateJournalLines: COMMANDS,
    events.PostLimitJournal: COMMANDS,
    events.JournalLinePosted: POSTINGS,
    events.GroupLimitPosted: POSTINGS,
    events.GroupMemberReported: GROUP_REQUESTS,
    events.GroupCreditRequested: GROUP_REQUESTS,
    events.GroupCreditAnswered: GROUP_ANSWERS,
    events.GroupMembershipChanged: GROUP_ANSWERS,
    events.UpdateRiskScores: COMMANDS,
    events.UpdateBalanceStatistics: COMMANDS,
    events.CheckOrder: COMMANDS,
    events.ResubmitDeadLetter: COMMANDS,
    events.SettingsPublished: SETTINGS,
    events.ExchangeRatePublished: SETTINGS,
    events.ClockTicked: CLOCK,
}

INPUT_TOPICS = (
    SETTINGS, CLOCK, CUSTOMERS, GROUPS, ORDERS, INVOICES, PAYMENTS, COMMANDS,
    POSTINGS, GROUP_REQUESTS, GROUP_ANSWERS, INBOX,
)  # fmt: skip
"""All inputs, in the order in which records of one instant are taken: settings and customers first."""
BROADCAST_TOPICS = frozenset({SETTINGS, CLOCK})
"""One stream that every partition reads whole."""
INTERNAL_TOPICS = frozenset({POSTINGS, GROUP_REQUESTS, GROUP_ANSWERS})
"""Inputs that only tasks write, for each other."""
NUMBERED_TOPICS = frozenset({GROUP_REQUESTS, GROUP_ANSWERS})
"""Their events tell by their own numbers and ids what was here before, so nobody remembers them one by one."""

TOPIC_OF_OUTPUT: dict[type, str] = {
    outputs.CreditDecision: DECISIONS,
    outputs.HoldEntry: HOLDS,
    outputs.Exposure: EXPOSURES,
    outputs.ScoreUpdated: SCORES,
    outputs.LimitChanged: LIMITS,
    outputs.LimitExpired: LIMITS,
    outputs.LimitProposed: LIMITS,
    outputs.LimitJournal: JOURNALS,
    outputs.BalanceStatistics: STATISTICS,
    outputs.RunCompleted: RUNS,
    outputs.DeadLetter: DEAD_LETTERS,
}
