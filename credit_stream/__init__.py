"""Customer credit management as a stream: events in, decisions with their proof out."""

__version__ = "0.1.0"
