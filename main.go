// Command auditlogs is an organization's audit log: the web app in which its people read, search
// and keep the record of what happened.
package main

import "github.com/auditlogs/auditlogs/app/commands"

func main() { commands.Main() }
