module github.com/auditlogs/auditlogs/app/audit/migrate

go 1.25.0

require (
	github.com/auditlogs/auditlogs/app/audit v0.1.0
	github.com/auditlogs/auditlogs/models v0.1.0
	github.com/pressly/goose/v3 v3.22.0
	gorm.io/gorm v1.25.12
)

require (
	github.com/auditlogs/auditlogs/app/audit/event v0.1.0 // indirect
	github.com/auditlogs/auditlogs/app/audit/internal v0.1.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/jinzhu/inflection v1.0.0 // indirect
	github.com/jinzhu/now v1.1.5 // indirect
	github.com/mfridman/interpolate v0.0.2 // indirect
	github.com/sethvargo/go-retry v0.3.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	golang.org/x/sync v0.8.0 // indirect
	golang.org/x/text v0.16.0 // indirect
)

replace (
	github.com/auditlogs/auditlogs/app/audit => ..
	github.com/auditlogs/auditlogs/app/audit/event => ../event
	github.com/auditlogs/auditlogs/app/audit/internal => ../internal
	github.com/auditlogs/auditlogs/models => ../../../models
)
