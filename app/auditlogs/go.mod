module github.com/auditlogs/auditlogs/app/auditlogs

go 1.26.0

require github.com/auditlogs/auditlogs v0.1.0
