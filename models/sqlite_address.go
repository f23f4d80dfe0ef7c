package models

import "context"

// AddressLacks lists the settings without which SQLite fails where it should wait for another connection that writes:
// of those that the connections of run have not been opened with. In memory, where nobody else can write, it is none.
func AddressLacks(ctx context.Context, run Statements) (settings []string) {
	answer := func(query string) (value string) {
		_ = queryRows(ctx, run, func(rows Rows) error { return rows.Scan(&value) }, query)
		return value
	}
	if answer("SELECT file FROM pragma_database_list WHERE name = 'main'") == "" {
		return nil
	}
	if answer("PRAGMA busy_timeout") == "0" {
		settings = append(settings, "busy_timeout")
	}
	if mode := answer("PRAGMA journal_mode"); mode == "delete" || mode == "truncate" || mode == "persist" {
		settings = append(settings, "journal_mode(WAL)")
	}
	return settings
}
