module github.com/auditlogs/auditlogs/app/audit/auditfiber

go 1.25.0

require (
	github.com/auditlogs/auditlogs/app/audit/event v0.1.0
	github.com/auditlogs/auditlogs/app/audit/internal v0.1.0
	github.com/gofiber/fiber/v2 v2.50.0
)

require (
	github.com/andybalholm/brotli v1.0.5 // indirect
	github.com/google/uuid v1.3.1 // indirect
	github.com/klauspost/compress v1.16.7 // indirect
	github.com/mattn/go-colorable v0.1.13 // indirect
	github.com/mattn/go-isatty v0.0.19 // indirect
	github.com/mattn/go-runewidth v0.0.15 // indirect
	github.com/rivo/uniseg v0.2.0 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	github.com/valyala/fasthttp v1.50.0 // indirect
	github.com/valyala/tcplisten v1.0.0 // indirect
	golang.org/x/sys v0.13.0 // indirect
)

replace (
	github.com/auditlogs/auditlogs/app/audit/event => ../event
	github.com/auditlogs/auditlogs/app/audit/internal => ../internal
)
