"""Bytes to records and back: Avro, JSON Lines, record keys.

The layer between the core and everything that carries bytes. It knows the records of `core/events.py` and
`core/outputs.py` and nothing of where bytes come from (interface section 1).
"""
