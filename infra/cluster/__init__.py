"""A real one-node Kubernetes with Knative Serving and Kourier on a bare Debian machine, built from Go modules."""
