module github.com/auditlogs/auditlogs/app/audit/event

go 1.25.0
