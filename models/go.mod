module github.com/auditlogs/auditlogs/models

go 1.25.0

require (
	github.com/auditlogs/auditlogs/app/audit/event v0.1.0
	github.com/google/uuid v1.3.0
	golang.org/x/text v0.14.0
	gorm.io/gorm v1.25.12
)

require (
	github.com/jinzhu/inflection v1.0.0 // indirect
	github.com/jinzhu/now v1.1.5 // indirect
)

replace github.com/auditlogs/auditlogs/app/audit/event => ../app/audit/event
