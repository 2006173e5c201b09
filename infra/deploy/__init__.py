"""From image digests to a finished rollout: `python -m infra.deploy images.json --overlay rancher --why "..."`."""
