module github.com/auditlogs/auditlogs/app/audit/client

go 1.25.0

require (
	github.com/auditlogs/auditlogs/app/audit/event v0.1.0
	github.com/auditlogs/auditlogs/app/audit/internal v0.1.0
)

replace (
	github.com/auditlogs/auditlogs/app/audit/event => ../event
	github.com/auditlogs/auditlogs/app/audit/internal => ../internal
)
