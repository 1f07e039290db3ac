"""Tarnwick & Vale, a made-up trading company: seeded, deterministic, of any size.

It makes the events that demo, tests and benchmarks use. Nothing in it knows a clock, a file or a network; the same plan
gives the same events byte for byte. `events(plan)` is the plain stream; `Company(plan)` also listens to the hold list.
"""

from credit_stream.company.plan import Plan, year_plan
from credit_stream.company.rule_book import rule_book, rule_book_json
from credit_stream.company.stream import Company, events

__all__ = ["Company", "Plan", "events", "rule_book", "rule_book_json", "year_plan"]
