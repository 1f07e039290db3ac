"""The HTTP service of `credit-stream serve`: events in, answers out of the embedded system's state.

`app` is the routes, `intake` takes posted lines to the log, `system` is the thread that owns the embedded host,
`answers` the one shape of every failure, `run` the process with its signals.
"""
