"""An S3 store for a cluster: MinIO, its accounts and what each may do."""
