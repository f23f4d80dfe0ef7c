module github.com/auditlogs/auditlogs/app/audit

go 1.25.0

require (
	github.com/auditlogs/auditlogs/app/audit/event v0.1.0
	github.com/auditlogs/auditlogs/app/audit/internal v0.1.0
	github.com/auditlogs/auditlogs/models v0.1.0
	gorm.io/gorm v1.25.12
)

require (
	github.com/google/uuid v1.3.0 // indirect
	github.com/jinzhu/inflection v1.0.0 // indirect
	github.com/jinzhu/now v1.1.5 // indirect
	golang.org/x/text v0.14.0 // indirect
)

replace (
	github.com/auditlogs/auditlogs/app/audit/event => ./event
	github.com/auditlogs/auditlogs/app/audit/internal => ./internal
	github.com/auditlogs/auditlogs/models => ../../models
)
