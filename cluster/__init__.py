"""The embedded cluster: a real Kubernetes built from Go modules and run without a container engine.

`controlplane.ControlPlane` runs etcd, kube-apiserver, kube-controller-manager and kube-scheduler as plain
processes; `node.Node` adds containerd, kubelet and kube-proxy where the user is root on Debian.
Made for tests, demos and a developer's machine. Not for anything that has to survive a power cut.
"""
