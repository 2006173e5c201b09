"""What Knative Serving does on a cluster, on one machine: revisions of `score` as processes, and traffic to them."""
