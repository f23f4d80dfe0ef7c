// The libraries that applications keep their rows with, each of which records the same: no requirement of any other
// module here.
module github.com/auditlogs/auditlogs/internal/stacks

go 1.26.0

require (
	entgo.io/ent v0.14.5
	github.com/auditlogs/auditlogs/app/audit v0.1.0
	github.com/auditlogs/auditlogs/app/audit/auditpgx v0.1.0
	github.com/auditlogs/auditlogs/app/audit/event v0.1.0
	github.com/auditlogs/auditlogs/app/audit/migrate v0.1.0
	github.com/glebarez/sqlite v1.11.0
	github.com/jackc/pgx/v5 v5.12.0
	github.com/jmoiron/sqlx v1.4.0
	github.com/lib/pq v1.12.3
	github.com/mattn/go-sqlite3 v1.14.53
	github.com/ncruces/go-sqlite3 v0.37.0
	github.com/uptrace/bun v1.3.0
	github.com/uptrace/bun/dialect/pgdialect v1.3.0
	github.com/uptrace/bun/dialect/sqlitedialect v1.3.0
	gorm.io/driver/postgres v1.6.3
	gorm.io/driver/sqlite v1.6.0
	gorm.io/gorm v1.31.2
	modernc.org/sqlite v1.61.1
)

require (
	github.com/auditlogs/auditlogs/app/audit/internal v0.1.0 // indirect
	github.com/auditlogs/auditlogs/models v0.1.0 // indirect
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/glebarez/go-sqlite v1.23.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/jinzhu/inflection v1.0.0 // indirect
	github.com/jinzhu/now v1.1.5 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/mfridman/interpolate v0.0.2 // indirect
	github.com/ncruces/go-sqlite3-wasm/v6 v6.5.35401 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/ncruces/julianday v1.0.0 // indirect
	github.com/pressly/goose/v3 v3.29.0 // indirect
	github.com/puzpuzpuz/xsync/v3 v3.5.1 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	github.com/sethvargo/go-retry v0.5.0 // indirect
	github.com/tmthrgd/go-hex v0.0.0-20190904060850-447a3041c3bc // indirect
	github.com/vmihailenco/msgpack/v5 v5.4.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	modernc.org/libc v1.79.0 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)

replace (
	github.com/auditlogs/auditlogs/app/audit => ../../app/audit
	github.com/auditlogs/auditlogs/app/audit/auditpgx => ../../app/audit/auditpgx
	github.com/auditlogs/auditlogs/app/audit/event => ../../app/audit/event
	github.com/auditlogs/auditlogs/app/audit/internal => ../../app/audit/internal
	github.com/auditlogs/auditlogs/app/audit/migrate => ../../app/audit/migrate
	github.com/auditlogs/auditlogs/models => ../../models
)
