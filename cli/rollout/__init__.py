"""What `marquee rollout` says and orders, part by part."""
