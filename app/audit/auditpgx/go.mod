module github.com/auditlogs/auditlogs/app/audit/auditpgx

go 1.25.0

require (
	github.com/auditlogs/auditlogs/app/audit v0.1.0
	github.com/auditlogs/auditlogs/app/audit/event v0.1.0
	github.com/auditlogs/auditlogs/app/audit/internal v0.1.0
	github.com/jackc/pgx/v5 v5.5.5
)

require (
	github.com/auditlogs/auditlogs/models v0.1.0 // indirect
	github.com/google/uuid v1.3.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20221227161230-091c0ba34f0a // indirect
	github.com/jackc/puddle/v2 v2.2.1 // indirect
	github.com/jinzhu/inflection v1.0.0 // indirect
	github.com/jinzhu/now v1.1.5 // indirect
	golang.org/x/crypto v0.17.0 // indirect
	golang.org/x/sync v0.1.0 // indirect
	golang.org/x/text v0.14.0 // indirect
	gorm.io/gorm v1.25.12 // indirect
)

replace (
	github.com/auditlogs/auditlogs/app/audit => ..
	github.com/auditlogs/auditlogs/app/audit/event => ../event
	github.com/auditlogs/auditlogs/app/audit/internal => ../internal
	github.com/auditlogs/auditlogs/models => ../../../models
)
