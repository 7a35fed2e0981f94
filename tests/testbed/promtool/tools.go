//go:build tools

// Package tools names the command that the test bed compiles, so that
// `go mod tidy` keeps everything it needs in go.mod and go.sum.
package tools

import _ "github.com/prometheus/prometheus/cmd/promtool"
