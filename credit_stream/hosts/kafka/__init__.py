"""What both Kafka hosts share: connection, topics, transactions, restore, and the tasks of the partitions they own."""
