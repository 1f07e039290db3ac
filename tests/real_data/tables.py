"""The real order-to-cash files as plain rows, with the rules by which gaps in them are closed.

The files lie in `shared/data` beside the repository and are read from there; nothing of them is kept here. Amounts are
exact integers of minor units, days are days since 1970-01-01.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from pathlib import Path

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
USUAL_TERM_DAYS = 15
"""Four of five invoices in `highradius_closed` have this term."""
NOBODY = "nobody"
"""The one customer of all online orders that name none."""


@dataclass(frozen=True, slots=True)
class Receivable:
    """An invoice and when it was paid; `days_late` as the file says it, None if it does not."""

    invoice_id: str
    customer_id: str
    currency: str
    amount_minor: int
    posted_on: int
    due_on: int
    cleared_on: int | None = None
    days_late: int | None = None
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class OnlineOrder:
    """A row of the online shop; `at` is in milliseconds since 1970. A cancelling row has a negative amount."""

    number: str
    customer_id: str
    at: int
    amount_minor: int
    cancels: bool


def day(text: str) -> int:
    """The day of `YYYY-MM-DD`."""
    return date.fromisoformat(text).toordinal() - EPOCH_ORDINAL


def american_day(text: str) -> int:
    """The day of `M/D/YYYY`."""
    month, month_day, year = text.split("/")
    return date(int(year), int(month), int(month_day)).toordinal() - EPOCH_ORDINAL


def cents(text: str) -> int:
    """Minor units of a currency with two decimals. Rule: a third decimal (four orders) is rounded half to even."""
    return int(Decimal(text).scaleb(2).to_integral_value(ROUND_HALF_EVEN))


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV file, compressed or not."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines)
    else:
        with path.open(encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines)


@cache
def ibm_late_payments(folder: Path = DATA) -> tuple[Receivable, ...]:
    """All 2,466 invoices. Rule: the file has no currency, so it is USD."""
    return tuple(
        Receivable(
            invoice_id=row["invoiceNumber"],
            customer_id=row["customerID"],
            currency="USD",
            amount_minor=cents(row["InvoiceAmount"]),
            posted_on=american_day(row["InvoiceDate"]),
            due_on=american_day(row["DueDate"]),
            cleared_on=american_day(row["SettledDate"]),
            days_late=int(row["DaysLate"]),
            disputed=row["Disputed"] == "Yes",
        )
        for row in rows_of(folder / "ibm_late_payments.csv")
    )


@cache
def highradius_closed(folder: Path = DATA) -> tuple[Receivable, ...]:
    """The paid invoices, 39,040 of 40,000 rows.

    - A row that repeats customer, amount, due date and clearing date of an earlier one is dropped (960 rows).
    - A blank currency is that of the customer's other rows, else USD. No customer then has two.
    - A blank posting date is the due date less the usual term.
    - The document numbers repeat and are mostly blank, so the number of the row is the id.
    """
    rows = list(rows_of(folder / "highradius_closed.csv.gz"))
    currencies = {row["cust_number"]: row["currency_inferred"] for row in rows if row["currency_inferred"]}
    seen: set[tuple[str, str, str, str]] = set()
    receivables = []
    for number, row in enumerate(rows, 1):
        content = (row["cust_number"], row["amount"], row["due_date"], row["clear_date"])
        if content in seen:
            continue
        seen.add(content)
        due_on = day(row["due_date"])
        posted = row["posting_date_inferred"]
        receivables.append(
            Receivable(
                invoice_id=f"closed-{number}",
                customer_id=row["cust_number"],
                currency=currencies.get(row["cust_number"], "USD"),
                amount_minor=cents(row["amount"]),
                posted_on=day(posted) if posted else due_on - USUAL_TERM_DAYS,
                due_on=due_on,
                cleared_on=day(row["clear_date"]),
                days_late=max(0, int(row["days_late"])),
            )
        )
    return tuple(receivables)


@cache
def highradius_open(folder: Path = DATA) -> tuple[Receivable, ...]:
    """The 9,681 unpaid invoices of the same company."""
    return tuple(
        Receivable(
            invoice_id=f"open-{row['doc_id']}",
            customer_id=row["cust_number"],
            currency=row["currency"],
            amount_minor=cents(row["amount"]),
            posted_on=day(row["posting_date"]),
            due_on=day(row["due_in_date"]),
        )
        for row in rows_of(folder / "highradius_open.csv.gz")
    )


@cache
def online_retail(folder: Path = DATA) -> tuple[OnlineOrder, ...]:
    """All 25,900 orders in GBP, in the order of time. Rule: rows without a customer are one customer's."""
    return tuple(
        OnlineOrder(
            number=row["invoice_no"],
            customer_id=row["customer_id"] or NOBODY,
            at=int(datetime.fromisoformat(row["ts"] + "+00:00").timestamp()) * 1000,
            amount_minor=cents(row["amount"]),
            cancels=row["cancelled"] == "1",
        )
        for row in rows_of(folder / "online_retail_invoices.csv.gz")
    )


def cancelled_orders(orders: tuple[OnlineOrder, ...]) -> dict[str, str]:
    """Which order each cancelling row takes back: cancelling number to order number.

    Rule: the newest order before it of the same named customer with the same amount that is not cancelled yet. A
    cancelling row for which there is none stands for a return: it is a negative order of its own.
    """
    live: dict[tuple[str, int], list[str]] = {}
    cancelled = {}
    for order in orders:
        if order.customer_id == NOBODY:
            continue
        if not order.cancels and order.amount_minor > 0:
            live.setdefault((order.customer_id, order.amount_minor), []).append(order.number)
        elif order.cancels and live.get((order.customer_id, -order.amount_minor)):
            cancelled[order.number] = live[order.customer_id, -order.amount_minor].pop()
    return cancelled
