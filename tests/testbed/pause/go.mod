// The program that holds a pod's namespaces on the node test bed.
module testbed/pause

go 1.26.0
