module github.com/auditlogs/auditlogs/app/audit/internal

go 1.25.0
