"""What the parts of the node read: each file's text, from where everything is. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from infra.cluster.images import PAUSE
from infra.cluster.machine import ADDRESS, API_PORT, BRIDGE, DNS, NODE, PODS, Cluster


def files(cluster: Cluster) -> Mapping[str, str]:
    """Return each configuration file below the cluster's home, by its name. JSON is YAML, too."""
    return {
        "admin.conf": _json(_kubeconfig(cluster, "admin")),
        "node.conf": _json(_kubeconfig(cluster, "node")),
        "cni/10-marquee.conflist": _json(_network(cluster)),
        "kubelet.yaml": _json(_kubelet(cluster)),
        "proxy.yaml": _json(_proxy(cluster)),
        "containerd.toml": _containerd(cluster),
    }


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def _kubeconfig(cluster: Cluster, user: str) -> dict[str, Any]:
    server = {"server": f"https://{ADDRESS}:{API_PORT}", "certificate-authority": str(cluster.pki / "ca.crt")}
    keys = {
        "client-certificate": str(cluster.pki / f"{user}.crt"),
        "client-key": str(cluster.pki / f"{user}.key"),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "marquee", "cluster": server}],
        "users": [{"name": user, "user": keys}],
        "contexts": [{"name": "marquee", "context": {"cluster": "marquee", "user": user}}],
        "current-context": "marquee",
    }


def _network(cluster: Cluster) -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "dataDir": str(cluster.home / "cni/addresses"),
        "ranges": [[{"subnet": PODS, "gateway": ADDRESS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,  # a pod may reach itself by its Service
        "ipam": addresses,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "marquee", "plugins": [bridge, ports]}


def _kubelet(cluster: Cluster) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(cluster.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(cluster.pki / "node.crt"),
        "tlsPrivateKeyFile": str(cluster.pki / "node.key"),
        "containerRuntimeEndpoint": f"unix://{cluster.socket}",
        "cgroupDriver": "cgroupfs",
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "podLogsDir": str(cluster.home / "pod-logs"),
        "volumePluginDir": str(cluster.home / "volume-plugins"),
        "failSwapOn": False,
        # The disk is the host's: what others fill must not throw out pods, nor images that no registry has.
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "2%", "imagefs.available": "2%"},
        "imageGCHighThresholdPercent": 100,
    }


def _proxy(cluster: Cluster) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(cluster.kubeconfig)},
        "healthzBindAddress": "127.0.0.1:10256",
        "nodePortAddresses": [PODS],  # the bridge's alone
        "mode": "iptables",
        "clusterCIDR": PODS,
        "hostnameOverride": NODE,
        "iptables": {"localhostNodePorts": False},
        # zeros leave the host's settings as they are
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _containerd(cluster: Cluster) -> str:
    """Return containerd's configuration.

    `restrict_oom_score_adj`: without CAP_SYS_RESOURCE the score of -998 is refused, and no pod starts.
    `netns_mounts_under_state_dir`: network namespaces are mounted below our home, where `down` finds them.
    `enable_unprivileged_ports`: the name server listens on port 53, as policies expect, and is not root.
    """
    home = cluster.home
    return f"""version = 2
root = "{home}/containerd"
state = "{home}/containerd-run"
[grpc]
address = "{cluster.socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
enable_unprivileged_ports = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{home}/cni"
"""
