// Package mattn tests the driver github.com/mattn/go-sqlite3. It needs a C compiler: make test-cgo runs it, with the tag
// sqlite_fts5 and without.
package mattn
