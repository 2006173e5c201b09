"""What Knative's KafkaSource and PingSource do on a cluster, on one machine: the same requests and dead letters."""
