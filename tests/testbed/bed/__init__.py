"""The test bed: etcd, a Kubernetes control plane and an AWS emulator as plain
processes on the loopback interface. Python's standard library only."""
