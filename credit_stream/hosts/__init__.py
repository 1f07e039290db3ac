"""The hosts: they get records to partition tasks and keep what comes out. All are thin (design section 4).

`memory` is lists: every input is followed to its end before the next. `embedded` is a durable log, state and positions
in one directory: one machine, no broker. What they share is in `placing`, `program` and `clock`.
"""
