module github.com/auditlogs/auditlogs/app/audit/internal

go 1.25.0

require github.com/auditlogs/auditlogs/app/audit/event v0.1.0

replace github.com/auditlogs/auditlogs/app/audit/event => ../event
