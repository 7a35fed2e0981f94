// A workload as tenants have it, for the node test bed.
module testbed/workload

go 1.26.0
