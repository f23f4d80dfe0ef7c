package commands

import (
	"context"
	"errors"
	"time"

	"github.com/auditlogs/auditlogs/app"
)

type serveCommand struct {
	databaseFlags
	maskFlags
	Addr               string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on (default: ${default})."`
	Metrics            string        `placeholder:"HOST:PORT" help:"Address on which Prometheus reads /metrics, for whoever can reach it (default: none)."`
	ReadDatabase       []string      `placeholder:"URL" help:"Streaming replicas of a PostgreSQL database that the log is read from: postgres://… addresses."`
	BaseURL            string        `placeholder:"URL" help:"Address people use, for links and secure cookies (default: http:// and --addr)."`
	TrustedProxies     []string      `placeholder:"IP" help:"Proxies whose X-Forwarded-For is believed: addresses and ranges such as 10.0.0.0/8."`
	SecretKey          string        `placeholder:"KEY" help:"Encrypts stored secrets: the base64 of 32 bytes, as openssl rand -base64 32 makes it; NEW,OLD changes it (default: on SQLite made beside the database)."`
	APIRateLimit       int           `default:"100" placeholder:"N" help:"Requests a second each API key is allowed, and twice as many at once; 0 means any number (default: ${default})."`
	RetentionGrace     time.Duration `default:"24h" placeholder:"TIME" help:"How long a lowered retention can be undone before it takes effect; 0 means that it takes effect at once (default: ${default})."`
	AccessLogRetention int           `default:"400" placeholder:"DAYS" help:"Days for which it is kept who read the log, at least 365 (default: ${default})."`
	Demo               bool          `help:"Fill an empty database with a demo organization whose log goes on growing. On this machine only."`
}

func (c *serveCommand) Run(ctx context.Context, to streams) error {
	err := app.Run(ctx, app.Config{
		Addr:           c.Addr,
		Metrics:        c.Metrics,
		BaseURL:        c.BaseURL,
		TrustedProxies: c.TrustedProxies,
		SecretKey:      c.SecretKey,
		ReadDatabases:  c.ReadDatabase,
		APIRateLimit:   c.APIRateLimit,
		RetentionGrace: c.RetentionGrace,
		AccessLogDays:  c.AccessLogRetention,
		Demo:           c.Demo,
		Log:            c.log(to),
	}, c.url(c.Demo), to.stdout)
	if errors.Is(err, context.Canceled) {
		return nil // it was told to stop before it was up
	}
	return err
}
