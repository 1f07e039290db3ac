"""The Faust host: Faust gives membership, rebalancing, its command line and sensors; it takes and commits nothing.

Records go as raw bytes from the agents to `hosts.kafka.partitions`, whose transactions commit the offsets too.
"""
