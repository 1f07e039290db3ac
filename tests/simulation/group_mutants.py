"""Broken variants of credit groups: of the pool, of what members tell it, and of what its answers lead to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from credit_stream.core import answers, asking, limits, membership, pools
from credit_stream.core.pools import PoolLedger
from tests.simulation.mutation import mutant


@mutant
def a_reservation_is_never_taken_back() -> Iterator[None]:
    """Though the order stands in the member's report, or was given up."""
    with patch.object(PoolLedger, "settle", lambda pool, request_id: pool.leave_the_line(request_id)):
        yield


@mutant
def nothing_is_reserved() -> Iterator[None]:
    """Two members both get the last credit."""
    with patch.object(PoolLedger, "reserve", lambda pool, request_id, wish, room: None):
        yield


@mutant
def an_answer_is_taken_twice() -> Iterator[None]:
    """And what waited for it finds it both times."""
    answered = answers.credit_answered

    def twice(*args: Any) -> None:
        answered(*args)
        answered(*args)

    with (
        patch.object(answers, "credit_answered", twice),
        patch.object(answers, "drop_asked", lambda work, ledger, request_id, asked: None),
    ):
        yield


@mutant
def a_report_settles_what_it_does_not_have() -> Iterator[None]:
    """The reservation goes before the order stands in the member's exposure: it counts nowhere for a while."""
    report = membership._report

    def without(ledger: Any, group_id: str, reported: tuple[int, ...], **options: Any) -> None:
        granted = bool(ledger.settled)
        report(ledger, group_id, (*reported[:2], 0, *reported[3:]) if granted else reported, **options)

    with patch.object(membership, "_report", without):
        yield


@mutant
def questions_overtake_reports() -> Iterator[None]:
    """The group judges by what the member was before the step that asks."""
    tell = membership.tell_groups

    def late(ledger: Any) -> None:
        before = len(ledger.work.publications)
        tell(ledger)
        ledger.work.publications[before:] = reversed(ledger.work.publications[before:])

    with patch.object(membership, "tell_groups", late), patch("credit_stream.core.accounts.tell_groups", late):
        yield


@mutant
def a_member_that_moves_is_counted_by_nobody_for_a_while() -> Iterator[None]:
    """The old group is left before the new one has confirmed."""
    tell = membership.tell_groups

    def leave_first(ledger: Any) -> None:
        account, group_id = ledger.account, ledger.group_id
        if group_id is not None and group_id not in account.groups[:1]:
            for other in account.groups:
                membership._report(ledger, other, membership.EMPTY_REPORT, is_member=False)
            account.groups = ()
        tell(ledger)

    with (
        patch.object(membership, "tell_groups", leave_first),
        patch("credit_stream.core.accounts.tell_groups", leave_first),
    ):
        yield


@mutant
def a_member_never_leaves_its_old_group() -> Iterator[None]:
    """Both count it for good."""
    report = membership._report

    def stay(ledger: Any, group_id: str, reported: tuple[int, ...], *, is_member: bool, joins: bool = False) -> None:
        if is_member:
            report(ledger, group_id, reported, is_member=True, joins=joins)

    with patch.object(membership, "_report", stay):
        yield


@mutant
def a_pool_adds_up_currencies() -> Iterator[None]:
    """A hundred of one are a hundred of the other."""
    with patch.object(PoolLedger, "_converted", lambda pool, amount_minor, currency, day: amount_minor):
        yield


@mutant
def a_pool_may_be_passed_by_one() -> Iterator[None]:
    """The boundary is off by one, at the group and at its members."""
    passes = limits.passes

    def lenient(after_minor: int, *args: Any, **options: Any) -> Any:
        return passes(after_minor - 1, *args, **options)

    with patch.object(pools, "passes", lenient), patch("credit_stream.core.facts.passes", lenient):
        yield


@mutant
def what_waits_behind_an_order_is_forgotten() -> Iterator[None]:
    """The answer comes, and nothing goes on."""
    with patch.object(answers, "_go_on_behind", lambda work, ledgers, ledger, order_id, handle: None):
        yield


@mutant
def nobody_in_line_is_offered_anything() -> Iterator[None]:
    """Though the pool has fallen."""
    with patch.object(PoolLedger, "offer", lambda pool: None):
        yield


@mutant
def a_cancelled_order_keeps_its_reservation() -> Iterator[None]:
    """The group never hears that nobody wants it any more."""
    give_up = asking.give_up_asking

    def keep(work: Any, ledger: Any, order: Any) -> Any:
        settled = list(ledger.settled)
        given_up = give_up(work, ledger, order)
        ledger.settled[:] = settled
        return given_up

    with patch.object(asking, "give_up_asking", keep), patch("credit_stream.core.orders.give_up_asking", keep):
        yield
