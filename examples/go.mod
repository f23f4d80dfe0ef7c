// The programs here are what a service would be, and this is what it would require.
module github.com/auditlogs/auditlogs/examples

go 1.26.0

require (
	github.com/auditlogs/auditlogs/app/audit v0.1.0
	github.com/auditlogs/auditlogs/app/audit/auditfiber v0.1.0
	github.com/auditlogs/auditlogs/app/audit/audithttp v0.1.0
	github.com/auditlogs/auditlogs/app/audit/auditpgx v0.1.0
	github.com/auditlogs/auditlogs/app/audit/event v0.1.0
	github.com/auditlogs/auditlogs/app/audit/migrate v0.1.0
	github.com/gofiber/fiber/v2 v2.52.15
	github.com/jackc/pgx/v5 v5.12.0
	gorm.io/driver/postgres v1.6.3
	gorm.io/driver/sqlite v1.6.0
	gorm.io/gorm v1.31.2
	modernc.org/sqlite v1.61.1
)

require (
	github.com/andybalholm/brotli v1.2.6 // indirect
	github.com/auditlogs/auditlogs/app/audit/internal v0.1.0 // indirect
	github.com/auditlogs/auditlogs/models v0.1.0 // indirect
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/jinzhu/inflection v1.0.0 // indirect
	github.com/jinzhu/now v1.1.5 // indirect
	github.com/klauspost/compress v1.20.1 // indirect
	github.com/mattn/go-colorable v0.1.13 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/mattn/go-runewidth v0.0.16 // indirect
	github.com/mattn/go-sqlite3 v1.14.22 // indirect
	github.com/mfridman/interpolate v0.0.2 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/pressly/goose/v3 v3.29.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	github.com/sethvargo/go-retry v0.5.0 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	github.com/valyala/fasthttp v1.51.0 // indirect
	github.com/valyala/tcplisten v1.0.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	modernc.org/libc v1.79.0 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)

replace (
	github.com/auditlogs/auditlogs/app/audit => ../app/audit
	github.com/auditlogs/auditlogs/app/audit/auditfiber => ../app/audit/auditfiber
	github.com/auditlogs/auditlogs/app/audit/audithttp => ../app/audit/audithttp
	github.com/auditlogs/auditlogs/app/audit/auditpgx => ../app/audit/auditpgx
	github.com/auditlogs/auditlogs/app/audit/event => ../app/audit/event
	github.com/auditlogs/auditlogs/app/audit/internal => ../app/audit/internal
	github.com/auditlogs/auditlogs/app/audit/migrate => ../app/audit/migrate
	github.com/auditlogs/auditlogs/models => ../models
)
