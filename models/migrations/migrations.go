// Package migrations holds the schema of the audit log, one folder of SQL a database. Package
// app/audit/migrate runs them.
package migrations

import "embed"

// Files are the migrations, in the folders "sqlite" and "postgres".
//
//go:embed sqlite/*.sql postgres/*.sql
var Files embed.FS
