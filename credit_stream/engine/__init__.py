"""The engine: takes inputs in order, runs the core over them, and makes what comes out durable once (design section 3).

From the outside in: `ports` is what an engine needs of the world; `merge` puts the inputs of a partition in order;
`overlay` is the core's view of the rows; `task` runs the core; `sequence` is the record of what was taken in which
order; `checkpoint` is the one order in which things become durable; `restore` begins where they ended.
"""
