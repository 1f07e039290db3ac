"""Credit groups whose tasks are apart (spec 5.2): answers that are late, repeated, or about what has ended."""

from __future__ import annotations

import pytest

from credit_stream.core import events as e
from credit_stream.core.rows import ACCOUNTS, ASKED, LINE, ORDERS, POOLS, RESERVATIONS, WAITING
from tests.core.apart import MONDAY, Apart, a_group, answers, join, order, questions


def nothing_is_left(apart: Apart) -> None:
    """No question, no reservation, nothing that waits; and the pool is what its members have."""
    for key, town in apart.towns.items():
        assert not town.view.ids(ASKED, key) and not town.view.ids(WAITING, key)
        assert not town.view.ids(RESERVATIONS, key)
        pool = town.view.get(POOLS, "", key)
        assert pool is None or (pool.reserved_minor == 0 and pool.offered is None)
        account = town.view.get(ACCOUNTS, "", key)
        assert account is None or (account.asking == 0 and account.asked_minor == 0)


def test_two_orders_of_one_instant_never_both_get_the_last_credit() -> None:
    """Both members have asked before either is answered."""
    apart = a_group(1_000)
    order(apart, "OA", "A", 900)
    order(apart, "OB", "B", 900)
    assert apart.decisions == []
    apart.settle()
    assert apart.verdicts("OA") == ["released"] and apart.verdicts("OB") == ["on_hold"]
    assert apart.exposure("G") == 900
    nothing_is_left(apart)


def test_what_is_reserved_counts_before_the_member_has_reported_it() -> None:
    """The first order is granted and its customer has not heard of it yet."""
    apart = a_group(1_000)
    order(apart, "OA", "A", 900)
    apart.deliver(questions)
    order(apart, "OB", "B", 200)
    apart.deliver(questions)
    apart.settle()
    assert apart.verdicts("OB") == ["on_hold"]
    nothing_is_left(apart)


def test_a_pending_order_counts_on_its_customer() -> None:
    """So that the own limit is not given twice while the group is asked (spec 3.4)."""
    apart = a_group(10_000, own=1_000)
    order(apart, "O1", "A", 700)
    assert apart.exposure("A") == 700
    order(apart, "O2", "A", 700)
    assert apart.verdicts("O2") == ["on_hold"]
    apart.settle()
    assert apart.verdicts("O1") == ["released"]


def test_when_the_group_says_no_the_reservation_on_the_customer_is_taken_back() -> None:
    """And another order of the same customer, held for its own limit, has room again."""
    apart = a_group(500, own=1_000, automatic_release="without_posting")
    order(apart, "O1", "A", 700)
    order(apart, "O2", "A", 400)
    assert apart.verdicts("O2") == ["on_hold"]
    apart.settle()
    assert apart.verdicts("O1") == ["on_hold"]
    assert apart.verdicts("O2") == ["on_hold", "released"]
    assert apart.exposure("A") == apart.exposure("G") == 400
    nothing_is_left(apart)


@pytest.mark.parametrize("which", [answers, questions], ids=["answers", "questions"])
def test_what_is_delivered_twice_changes_nothing(which: object) -> None:
    """Requests and reports are numbered, answers are waited for once."""
    once, twice = a_group(1_000), a_group(1_000)
    for apart, again in ((once, False), (twice, True)):
        order(apart, "OA", "A", 600)
        order(apart, "OB", "B", 600)
        while apart.waiting:
            apart.deliver(answers, again and which is answers)
            apart.deliver(questions, again and which is questions)
    assert once.decisions and [d.verdict for d in once.decisions] == [d.verdict for d in twice.decisions]
    assert once.exposure("G") == twice.exposure("G") == 600
    nothing_is_left(twice)


def test_an_answer_that_comes_again_much_later_changes_nothing() -> None:
    """Its order has been released, invoiced and paid since."""
    apart = a_group(1_000)
    order(apart, "OA", "A", 600)
    apart.deliver(questions)
    (late,) = [event for event in apart.waiting if isinstance(event, e.GroupCreditAnswered)]
    apart.settle()
    apart.send(e.OrderCancelled, order_id="OA", customer_id="A")
    apart.settle()
    apart.take(late)
    apart.settle()
    assert apart.verdicts("OA") == ["released"] and apart.exposure("G") == 0
    nothing_is_left(apart)


def test_the_answer_for_a_cancelled_order_changes_nothing_and_its_credit_is_given_back() -> None:
    """Cancelled while the answer was on its way."""
    apart = a_group(1_000)
    order(apart, "OA", "A", 900)
    apart.deliver(questions)
    apart.send(e.OrderCancelled, order_id="OA", customer_id="A")
    assert apart.exposure("A") == 0
    apart.settle()
    assert apart.verdicts("OA") == []
    order(apart, "OB", "B", 1_000)
    apart.settle()
    assert apart.verdicts("OB") == ["released"]
    nothing_is_left(apart)


def test_what_comes_for_a_pending_order_waits_and_is_decided_in_its_order() -> None:
    """Every check publishes a decision, of the event that caused it."""
    apart = a_group(1_000)
    order(apart, "OA", "A", 300)
    order(apart, "OA", "A", 1_200, e.OrderChanged)
    order(apart, "OA", "A", 500, e.OrderChanged)
    assert apart.decisions == []
    apart.settle()
    assert [(each.verdict, each.input.event_id) for each in apart.decisions] == [
        ("released", "e5"), ("on_hold", "e6"), ("released", "e7"),
    ]  # fmt: skip
    assert apart.exposure("G") == 500
    nothing_is_left(apart)


def test_a_cancellation_waits_behind_a_change_that_waits() -> None:
    """Else the change would come to a cancelled order."""
    apart = a_group(1_000)
    order(apart, "OA", "A", 300)
    order(apart, "OA", "A", 400, e.OrderChanged)
    apart.send(e.OrderCancelled, order_id="OA", customer_id="A")
    apart.settle()
    assert apart.verdicts("OA") == ["released"] * 2 and apart.exposure("G") == 0
    assert not apart.late
    nothing_is_left(apart)


def test_what_waited_and_is_refused_is_a_dead_letter_then() -> None:
    """With its own id and place, so that it can be mended and sent in again under the same id."""
    apart = a_group(1_000)
    order(apart, "OA", "A", 300)
    apart.send(e.ReleaseOrder, "r1", order_id="OA", customer_id="A", actor="ana", release_reason="paid")
    apart.settle()
    (late,) = apart.late
    assert late.position.event_id == "r1" and late.refusal.reason == "invalid"
    apart.send(e.OrderCancelled, order_id="OA", customer_id="A")
    apart.send(e.ReleaseOrder, "r1", order_id="OA", customer_id="A", actor="ana", release_reason="agreed")
    assert apart.refusals[-1].reason == "invalid", "and not event_id_reused"


def test_a_repeated_event_gets_the_decision_that_came_with_the_answer() -> None:
    """Byte for byte; before the answer there is nothing to repeat."""
    apart = a_group(1_000)
    placed = apart.send(e.OrderPlaced, order_id="OA", customer_id="A", amount_minor=300, currency="USD")
    apart.take(placed)
    assert apart.decisions == []
    apart.settle()
    apart.take(placed)
    first, second = apart.decisions
    assert first == second and first.input.event_id == placed.event_id and first.cause == "group_answer"
    nothing_is_left(apart)


def test_a_person_can_hold_an_order_that_is_pending() -> None:
    """It is held when the answer comes, and its credit is given back."""
    apart = a_group(1_000)
    order(apart, "OA", "A", 900)
    apart.send(e.ForceHold, customer_id="A", actor="ana", reason="fraud")
    apart.settle()
    (decision,) = apart.decisions
    assert decision.verdict == "on_hold" and decision.reasons == ("forced_hold",)
    assert apart.exposure("G") == 0
    nothing_is_left(apart)


ALL_OF_A = ({"customer_id": "A"}, {"selection": e.Selection(customer_ids=("A",))}, {})


@pytest.mark.parametrize("whom", ALL_OF_A, ids=["the customer", "a selection", "all"])
def test_a_release_that_waits_for_its_figures_does_not_lift_a_hold_that_came_after_it(whom: dict[str, object]) -> None:
    """A person releases, another holds all orders before the group has answered: the last word is the hold."""
    apart = a_group(1_000)
    order(apart, "OA", "A", 1_200)
    apart.settle()
    apart.send(e.ReleaseOrder, "r1", order_id="OA", customer_id="A", actor="ana", release_reason="paid")
    apart.send(e.ForceHold, "f1", actor="ben", reason="fraud", **whom)
    apart.settle()
    assert [(each.verdict, each.input.event_id) for each in apart.decisions[1:]] == [
        ("released", "r1"), ("on_hold", "f1"),
    ]  # fmt: skip
    assert apart.exposure("A") == apart.exposure("G") == 0 and not apart.late
    nothing_is_left(apart)


def test_a_forced_hold_of_many_waits_behind_what_waits_and_leaves_alone_what_has_ended_meanwhile() -> None:
    """Of a pending order with a release behind it, and one that is cancelled behind the hold's own turn."""
    apart = a_group(1_000)
    order(apart, "O1", "A", 1_200)
    apart.send(e.ReleaseOrder, "r1", order_id="O1", customer_id="A", actor="ana", release_reason="paid")
    order(apart, "O2", "A", 100)
    order(apart, "O2", "A", 150, e.OrderChanged)
    apart.send(e.OrderCancelled, order_id="O2", customer_id="A")
    apart.send(e.ForceHold, "f1", actor="ben", reason="fraud", customer_id="A")
    apart.settle()
    assert apart.verdicts("O1") == ["on_hold", "released", "on_hold"]
    assert apart.verdicts("O2") == ["released", "released"], "and it was no open order when its turn came"
    assert apart.exposure("A") == apart.exposure("G") == 0 and not apart.late
    nothing_is_left(apart)


def test_deliveries_and_invoices_do_not_wait_for_the_answer() -> None:
    """They are facts; the pool has them at once, whatever becomes of the order."""
    apart = a_group(1_000)
    order(apart, "OA", "A", 900)
    apart.send(e.OrderDelivered, order_id="OA", customer_id="A", delivered_amount="4.00")
    apart.send(
        e.InvoicePosted, invoice_id="IA", customer_id="A", order_id="OA", amount_minor=400, currency="USD",
        invoice_date=20_514,
    )  # fmt: skip
    apart.settle()
    assert apart.verdicts("OA") == ["released"] and apart.exposure("A") == apart.exposure("G") == 900
    nothing_is_left(apart)


def test_a_customer_that_moves_is_counted_by_its_new_group_before_it_leaves_the_old_one() -> None:
    """There is no moment at which neither counts it."""
    apart = a_group(1_000)
    apart.send(
        e.CreditGroupUpdated, group_id="H", credit_currency="USD", credit_limit_minor=700,
        credit_limit_expires_on=30_000,
    )  # fmt: skip
    order(apart, "OA", "A", 600)
    apart.settle()
    join(apart, "A", "H")
    apart.deliver(lambda event: isinstance(event, e.GroupMemberReported) and event.group_id == "H")
    assert (apart.exposure("G"), apart.exposure("H")) == (600, 600)
    apart.settle()
    assert (apart.exposure("G"), apart.exposure("H")) == (0, 600)
    nothing_is_left(apart)


def test_an_order_that_was_asked_of_the_old_group_is_asked_of_the_new_one() -> None:
    """The customer moved before the answer came: that answer is about another pool."""
    apart = a_group(1_000)
    apart.send(
        e.CreditGroupUpdated, group_id="H", credit_currency="USD", credit_limit_minor=100,
        credit_limit_expires_on=30_000,
    )  # fmt: skip
    order(apart, "OA", "A", 600)
    apart.deliver(questions)
    join(apart, "A", "H")
    apart.settle()
    (decision,) = apart.decisions
    assert decision.verdict == "on_hold" and decision.group_id == "H" and decision.limit.group_total_minor == 100
    order(apart, "OB", "B", 1_000)
    apart.settle()
    assert apart.verdicts("OB") == ["released"], "what was reserved in the old group was given back"
    nothing_is_left(apart)


def test_going_from_one_group_to_another_and_back_before_either_has_answered() -> None:
    """Ends in the first, once."""
    apart = a_group(1_000)
    order(apart, "OA", "A", 600)
    apart.settle()
    join(apart, "A", "H")
    join(apart, "A", "G")
    apart.settle()
    assert apart.exposure("G") == 600
    join(apart, "A", "H")
    apart.deliver()
    join(apart, "A", "G")
    apart.settle()
    assert apart.exposure("G") == 600 and apart.exposure("H") == 0
    nothing_is_left(apart)


def test_a_group_that_is_closed_while_it_is_asked_counts_no_more() -> None:
    """The question is answered all the same, and the customer is judged as one without a group."""
    apart = a_group(1_000, own=500)
    order(apart, "OA", "A", 400)
    apart.send(e.CreditGroupClosed, group_id="G")
    apart.settle()
    (decision,) = apart.decisions
    assert decision.verdict == "released" and decision.limit.source == "own"
    nothing_is_left(apart)


def test_freed_credit_is_offered_to_one_order_after_the_other() -> None:
    """The second is offered what is left only when the first has taken its part: never the same credit twice."""
    apart = a_group(1_000, automatic_release="without_posting")
    order(apart, "OA", "A", 1_000)
    apart.settle()
    order(apart, "OB", "B", 600)
    order(apart, "OC", "C", 600)
    apart.settle()
    apart.send(e.OrderCancelled, order_id="OA", customer_id="A")
    apart.deliver(questions)
    granted = [event for event in apart.waiting if isinstance(event, e.GroupCreditAnswered) and event.granted]
    assert [event.order_id for event in granted] == ["OB"]
    apart.settle()
    assert apart.verdicts("OB") == ["on_hold", "released"] and apart.verdicts("OC") == ["on_hold"]
    assert apart.exposure("G") == 600
    nothing_is_left(apart)


def test_an_offer_that_its_order_cannot_take_goes_to_the_next() -> None:
    """Something else holds it by now: what it was offered is given back."""
    rules: list[dict[str, object]] = [
        {"id": "limit", "type": "credit_limit_used", "percent": "100"},
        {"id": "late", "type": "account_status", "value": "bad"},
    ]
    apart = a_group(1_000, automatic_release="without_posting")
    apart = Apart(parameters=apart.parameters, rules=rules)
    apart.send(
        e.CreditGroupUpdated, group_id="G", credit_currency="USD", credit_limit_minor=1_000,
        credit_limit_expires_on=30_000,
    )  # fmt: skip
    for member in "ABC":
        join(apart, member, "G")
    order(apart, "OA", "A", 1_000)
    apart.settle()
    order(apart, "OB", "B", 600)
    order(apart, "OC", "C", 600)
    apart.settle()
    apart.send(e.OrderCancelled, order_id="OA", customer_id="A")
    apart.deliver(questions)
    apart.send(
        e.CustomerUpdated, customer_id="B", credit_currency="USD", customer_credit_group="G", account_status="bad"
    )
    apart.settle()
    assert apart.verdicts("OB") == ["on_hold"] and apart.verdicts("OC") == ["on_hold", "released"]
    assert apart.exposure("G") == 600
    nothing_is_left(apart)


def test_a_late_order_may_take_what_is_free_while_an_offer_is_under_way() -> None:
    """But not what is offered."""
    apart = a_group(1_000, automatic_release="without_posting")
    order(apart, "OA", "A", 1_000)
    apart.settle()
    order(apart, "OB", "B", 600)
    apart.settle()
    apart.send(e.OrderCancelled, order_id="OA", customer_id="A")
    apart.deliver(questions)
    order(apart, "O2", "A", 400)
    order(apart, "O3", "A", 1)
    apart.settle()
    assert apart.verdicts("OB")[-1] == apart.verdicts("O2")[-1] == "released" and apart.verdicts("O3") == ["on_hold"]
    assert apart.exposure("G") == 1_000
    nothing_is_left(apart)


def test_an_order_in_line_that_leaves_the_hold_list_leaves_the_line() -> None:
    """Rejected, cancelled or released by a person: nothing is offered to it any more."""
    apart = a_group(1_000, automatic_release="without_posting")
    order(apart, "OA", "A", 1_000)
    apart.settle()
    for order_id in ("O1", "O2", "O3"):
        order(apart, order_id, "B", 300)
    apart.settle()
    assert len(apart.town("G").view.ids(LINE, "G")) == 3
    apart.send(e.RejectOrder, order_id="O1", customer_id="B", actor="ana", reason="no")
    apart.send(e.OrderCancelled, order_id="O2", customer_id="B")
    apart.send(e.ReleaseOrder, order_id="O3", customer_id="B", actor="ana", release_reason="agreed")
    apart.settle()
    assert apart.town("G").view.ids(LINE, "G") == []
    assert apart.verdicts("O3") == ["on_hold", "released"]
    assert apart.exposure("G") == 1_300
    row = apart.town("B").view.get(ORDERS, "B", "O3")
    assert row is not None and row.asked is None
    nothing_is_left(apart)


def test_a_group_of_one_member_is_decided_as_any_other() -> None:
    """It is not special in behaviour."""
    apart = a_group(1_000, members=("A",))
    order(apart, "O1", "A", 1_000)
    order(apart, "O2", "A", 1)
    apart.settle()
    assert apart.verdicts("O1") == ["released"] and apart.verdicts("O2") == ["on_hold"]
    assert {each.cause for each in apart.decisions} == {"group_answer"}
    nothing_is_left(apart)


def test_a_question_that_is_not_answered_is_asked_again_when_a_minute_has_ticked() -> None:
    """Should the first answer come after all it is late, and what it reserved was given back."""
    apart = a_group(1_000)
    order(apart, "OA", "A", 900)
    apart.tick("A", 59)
    assert len(apart.waiting) == 1
    apart.tick("A", 2)
    requests = [event for event in apart.waiting if isinstance(event, e.GroupCreditRequested)]
    assert len(requests) == 2 and requests[0].request_id != requests[1].request_id
    apart.settle()
    (decision,) = apart.decisions
    assert decision.verdict == "released" and decision.input.event_id == "e5"
    order(apart, "OB", "B", 101)
    order(apart, "OC", "C", 100)
    apart.settle()
    assert apart.verdicts("OB") == ["on_hold"] and apart.verdicts("OC") == ["released"]
    nothing_is_left(apart)


def test_a_question_of_a_person_is_asked_again_too() -> None:
    """A release waits for figures, not for consent."""
    apart = a_group(1_000)
    order(apart, "OA", "A", 1_100)
    apart.settle()
    apart.send(e.ReleaseOrder, order_id="OA", customer_id="A", actor="ana", release_reason="agreed")
    apart.waiting.clear()
    apart.tick("A", 61)
    apart.settle()
    assert apart.verdicts("OA") == ["on_hold", "released"]
    assert apart.decisions[-1].over_limit_by_minor == 100 and apart.decisions[-1].actor == "ana"
    nothing_is_left(apart)


def test_a_trial_run_of_a_pending_order_waits_for_its_answer_too() -> None:
    """Before it there is no standing that could be answered."""
    apart = a_group(1_000)
    order(apart, "OA", "A", 900)
    apart.send(e.OrderCheckpointReached, order_id="OA", customer_id="A", checkpoint="confirmation", pro_forma=True)
    assert apart.decisions == []
    apart.settle()
    assert [(each.verdict, each.pro_forma) for each in apart.decisions] == [("released", False), ("released", True)]
    nothing_is_left(apart)


def test_an_order_that_rose_and_is_held_waits_with_all_of_it() -> None:
    """What the pool had of it before the rise is no longer there: it may not be taken off what it asks for again."""
    apart = a_group(1_000, automatic_release="without_posting")
    order(apart, "OA", "A", 600)
    order(apart, "OB", "B", 400)
    apart.settle()
    order(apart, "OA", "A", 700, e.OrderChanged)
    apart.deliver(questions)
    apart.deliver(answers)
    assert apart.verdicts("OA") == ["released", "on_hold"]
    apart.settle()
    assert apart.exposure("G") == 400
    order(apart, "OC", "C", 300)
    apart.settle()
    apart.send(e.OrderCancelled, order_id="OB", customer_id="B")
    apart.settle()
    assert apart.verdicts("OA")[-1] == "released" and apart.exposure("G") == 1_000
    nothing_is_left(apart)


def test_a_held_order_that_is_invoiced_in_part_waits_with_the_rest() -> None:
    """And is released when there is room for that."""
    apart = a_group(1_000, automatic_release="without_posting")
    order(apart, "OA", "A", 1_000)
    apart.settle()
    order(apart, "OB", "B", 500)
    apart.settle()
    apart.send(
        e.InvoicePosted, invoice_id="IB", customer_id="B", order_id="OB", amount_minor=300, currency="USD",
        invoice_date=20_514,
    )  # fmt: skip
    apart.settle()
    assert apart.exposure("G") == 1_300
    apart.send(e.OrderCancelled, order_id="OA", customer_id="A")
    apart.settle()
    assert apart.verdicts("OB") == ["on_hold", "released"] and apart.exposure("G") == 500
    nothing_is_left(apart)


def test_an_answer_about_an_order_whose_customer_has_left_the_group_since_changes_nothing() -> None:
    """It is judged by the own limit by now, beside the others that are ready to go."""
    apart = a_group(1_000, own=500)
    order(apart, "O1", "A", 600)
    order(apart, "O2", "B", 1_000)
    apart.send(e.ReleaseOrder, order_id="O2", customer_id="B", actor="ana", release_reason="agreed")
    apart.settle()
    order(apart, "O3", "A", 400)
    apart.settle()
    assert apart.status("O3") == "held"
    apart.send(e.OrderCancelled, order_id="O2", customer_id="B")
    apart.deliver(questions)
    late = [event for event in apart.waiting if isinstance(event, e.GroupCreditAnswered)]
    join(apart, "A", None, own=500)
    apart.settle()
    before = apart.holds["O3"]
    for event in late:
        apart.take(event)
    assert late and apart.holds["O3"] == before
    nothing_is_left(apart)


def test_who_asks_once_more_asks_the_same_of_the_group() -> None:
    """Something else held the order when it asked first; a rule that looks at the pool has not gone since."""
    rules: list[dict[str, object]] = [
        {"id": "limit", "type": "credit_limit_used", "percent": "100"},
        {"id": "late", "type": "overdue_amount", "amount": "0", "percent": "50"},
        {"id": "bad", "type": "account_status", "value": "bad"},
    ]
    apart = Apart(rules=rules)
    apart.send(
        e.CreditGroupUpdated, group_id="G", credit_currency="USD", credit_limit_minor=1_000,
        credit_limit_expires_on=30_000,
    )  # fmt: skip
    member = {"customer_id": "A", "credit_currency": "USD", "customer_credit_group": "G"}
    apart.send(e.CustomerUpdated, **member, account_status="bad")
    apart.send(e.InvoicePosted, invoice_id="IA", customer_id="A", amount_minor=100, currency="USD", invoice_date=20_000)
    apart.settle()
    order(apart, "OA", "A", 300)
    apart.send(e.CustomerUpdated, **member)
    asked = [event for event in apart.deliver(questions) if isinstance(event, e.GroupCreditRequested)]
    apart.deliver(answers)
    asked += [event for event in apart.waiting if isinstance(event, e.GroupCreditRequested)]
    assert [event.purpose for event in asked] == ["look", "reserve"]
    assert asked[0].conditions == asked[1].conditions and len(asked[0].conditions) == 2
    apart.settle()
    assert apart.verdicts("OA") == ["released"]
    nothing_is_left(apart)


def test_a_pending_order_counts_once_for_the_others_that_are_looked_at() -> None:
    """It was ready to go and came to its checks again: all of it counts by then, and nothing is set aside besides."""
    apart = a_group(10_000, own=1_000)
    order(apart, "O0", "A", 1_000)
    apart.settle()
    order(apart, "O1", "A", 100)
    order(apart, "O2", "A", 850)
    apart.send(e.OrderCancelled, order_id="O0", customer_id="A")
    apart.settle()
    order(apart, "O1", "A", 140, e.OrderChanged)
    apart.send(e.EvaluateHolds, customer_id="A", order_ids=("O2",), actor="ana")
    assert apart.status("O2") == "ready_to_release", "140 and 850 are within 1,000"
    apart.settle()
    nothing_is_left(apart)


def test_what_is_ready_keeps_its_credit_while_a_release_of_it_asks_for_figures() -> None:
    """Else another order would stand in line for the same."""
    apart = a_group(10_000, own=1_000)
    order(apart, "O1", "A", 500)
    order(apart, "O2", "A", 500)
    apart.settle()
    order(apart, "O3", "A", 400)
    order(apart, "O4", "A", 900)
    apart.send(e.OrderCancelled, order_id="O1", customer_id="A")
    apart.settle()
    apart.send(e.ReleaseOrder, order_id="O3", customer_id="A", actor="ana", release_reason="paid")
    apart.send(e.OrderCancelled, order_id="O2", customer_id="A")
    assert [event.order_id for event in apart.waiting if isinstance(event, e.GroupCreditRequested)] == ["O3"]
    apart.settle()
    assert apart.verdicts("O3") == ["on_hold", "released"] and apart.status("O4") == "held"
    nothing_is_left(apart)


def test_the_tenth_order_of_one_instant_stands_in_line_behind_the_ninth() -> None:
    """Requests are numbered, and numbers are not words."""
    apart = a_group(1_000, automatic_release="without_posting")
    order(apart, "O0", "A", 1_000)
    apart.settle()
    apart.seconds += 1
    ids = [f"O{number}" for number in range(1, 13)]
    for order_id in ids:
        apart.take(
            e.OrderPlaced(
                event_id=order_id,
                occurred_at=MONDAY + apart.seconds * 1_000,
                order_id=order_id,
                customer_id="A",
                amount_minor=10,
                currency="USD",
            )
        )
    apart.settle()
    apart.send(e.OrderCancelled, order_id="O0", customer_id="A")
    apart.settle()
    released = [each.order_id for each in apart.decisions if each.verdict == "released" and each.order_id != "O0"]
    assert released == ids
    nothing_is_left(apart)
