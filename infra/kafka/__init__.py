"""Kafka for a cluster, as Strimzi runs it: topics, accounts and what each may do."""
