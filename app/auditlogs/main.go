// Command auditlogs is the server, for
//
//	go install github.com/auditlogs/auditlogs/app/auditlogs@latest
//
// which takes modules without replace lines only: the module in the root of the repository has them, so
// that a clone builds without a workspace.
package main

import "github.com/auditlogs/auditlogs/app/commands"

func main() { commands.Main() }
