// What the test bed's Lua is compiled from: the interpreter that Argo CD embeds, which tests the health checks of
// deploy/argocd. go.sum holds the checksums of every module. See README.md for how to move to another version.
module testbed/lua

go 1.26.0

require github.com/yuin/gopher-lua v1.1.2

require (
	github.com/chzyer/readline v0.0.0-20180603132655-2972be24d48e // indirect
	golang.org/x/sys v0.0.0-20190204203706-41f3e6584952 // indirect
)
