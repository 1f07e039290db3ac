"""What came out of a run, in one table: decisions by verdict and reason, exposure, overdue, limits most used."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from heapq import nsmallest

from credit_stream.cli.tables import grouped, table
from credit_stream.core import money
from credit_stream.core.outputs import CreditDecision, DeadLetter, Exposure, HoldEntry, OutputRecord
from credit_stream.core.topics import EXPOSURES, HOLDS
from credit_stream.wire.currencies import CURRENCIES

MOST_USED_LIMITS = 10


class Summary:
    """Counts outputs as they come; of holds and exposures the last one of each key counts."""

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.dead_letters: Counter[str] = Counter()
        self._held: set[str] = set()
        self._exposures: dict[str, Exposure] = {}

    def add(self, topic: str, key: str, record: OutputRecord | None) -> None:
        """Counts one output."""
        self.count(record)
        if isinstance(record, HoldEntry):
            self._held.add(record.order_id)
        elif topic == HOLDS:
            self._held.discard(key)
        elif isinstance(record, Exposure) and record.party == "customer":
            self._exposures[key] = record
        elif topic == EXPOSURES and record is None:
            self._exposures.pop(key, None)

    def count(self, record: object) -> None:
        """Counts a decision or a dead letter, and nothing else."""
        if isinstance(record, CreditDecision):
            self._add_decision(record)
        elif isinstance(record, DeadLetter):
            self.dead_letters[record.reason] += 1

    def _add_decision(self, decision: CreditDecision) -> None:
        self.verdicts[decision.verdict] += 1
        for reason in decision.reasons or ("no reason",):
            self.reasons[decision.verdict, reason] += 1

    def totals(self) -> dict[str, tuple[int, int]]:
        """Exposure and overdue invoices by currency, in minor units."""
        sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        for exposure in self._exposures.values():
            sums[exposure.currency][0] += exposure.exposure_minor
            sums[exposure.currency][1] += exposure.overdue_invoices_minor
        return {currency: (total, overdue) for currency, (total, overdue) in sorted(sums.items())}

    def most_used(self) -> list[Exposure]:
        """The customers that use most of their limit, the most used first."""
        used = (exposure for exposure in self._exposures.values() if exposure.utilization_percent is not None)
        return nsmallest(MOST_USED_LIMITS, used, key=_by_use)

    def as_json(self) -> dict[str, object]:
        """The summary as a JSON object; money is decimal text."""
        return {
            "decisions": dict(sorted(self.verdicts.items())),
            "reasons": [
                {"verdict": verdict, "reason": reason, "count": count}
                for (verdict, reason), count in sorted(self.reasons.items())
            ],
            "dead_letters": dict(sorted(self.dead_letters.items())),
            "orders_on_hold": len(self._held),
            "exposure": {
                currency: {"exposure": _text(total, currency), "overdue": _text(overdue, currency)}
                for currency, (total, overdue) in self.totals().items()
            },
            "most_used_limits": [
                {
                    "customer_id": exposure.customer_id,
                    "utilization_percent": exposure.utilization_percent,
                    "exposure": _text(exposure.exposure_minor, exposure.currency),
                    "limit": _text(exposure.limit_minor or 0, exposure.currency),
                    "currency": exposure.currency,
                }
                for exposure in self.most_used()
            ],
        }

    # --- as text ------------------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """The summary as text."""
        return [
            *_titled("Decisions", self._decision_rows(), frozenset({1})),
            *_titled("Exposure and overdue invoices", self._exposure_rows(), frozenset({1, 2})),
            *_titled("Limits most used", self._limit_rows(), frozenset({1, 2, 3})),
            *_titled("Dead letters", self._dead_letter_rows(), frozenset({1})),
        ]

    def _decision_rows(self) -> Iterator[tuple[str, str]]:
        for verdict, count in sorted(self.verdicts.items()):
            yield verdict, f"{count:,}"
            for (of, reason), times in self.reasons.most_common():
                if of == verdict:
                    yield f"  {reason}", f"{times:,}"
        if self.verdicts:
            yield "orders on hold now", f"{len(self._held):,}"

    def _exposure_rows(self) -> Iterator[tuple[str, str, str]]:
        for currency, (total, overdue) in self.totals().items():
            yield currency, grouped(_text(total, currency)), f"{grouped(_text(overdue, currency))} overdue"

    def _limit_rows(self) -> Iterator[tuple[str, ...]]:
        for exposure in self.most_used():
            currency = exposure.currency
            used, limit = _text(exposure.exposure_minor, currency), _text(exposure.limit_minor or 0, currency)
            share = f"{grouped(exposure.utilization_percent or '0')} %"
            yield str(exposure.customer_id), share, grouped(used), f"of {grouped(limit)}", currency

    def _dead_letter_rows(self) -> Iterator[tuple[str, str]]:
        for reason, count in self.dead_letters.most_common():
            yield reason, f"{count:,}"


def _by_use(exposure: Exposure) -> tuple[int, str]:
    exact = money.ratio(exposure.utilization_percent or "0")
    return -exact.numerator * 10**2 // 10**exact.places, exposure.customer_id or ""


def _text(amount_minor: int, currency: str) -> str:
    return money.text(amount_minor, CURRENCIES[currency])


def _titled(title: str, rows: Iterator[tuple[str, ...]], right: frozenset[int]) -> list[str]:
    found = list(rows)
    return [title, *table(found or [("none",)], right if found else frozenset(), indent="  "), ""]
