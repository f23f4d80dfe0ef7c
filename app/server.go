package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/app/demo"
	"github.com/auditlogs/auditlogs/handlers/intake"
	"github.com/auditlogs/auditlogs/handlers/settings"
	"github.com/auditlogs/auditlogs/jobs"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

const (
	// patience is how long requests under way may take to end when the server shuts down.
	patience = 10 * time.Second
	// lastWords is how long answering takes after their work was cut off.
	lastWords = 5 * time.Second
)

// Run is a server's life: it opens the database, migrates it where its user may, answers requests and works in the
// background until ctx ends, and then shuts down in order. What the operator must know to begin, such
// as the address and a first token, is written to console.
//
// Errors are one line for the operator.
func Run(ctx context.Context, config Config, databaseURL string, console io.Writer) (err error) {
	boundMemory()
	asked := config // New completes the configuration once the port is known
	if err := asked.validate(); err != nil {
		return err
	}
	if _, isFile := database.SQLiteFile(databaseURL); isFile && len(config.ReadDatabases) > 0 {
		return errors.New("--read-database is for PostgreSQL: a SQLite database has no replicas")
	}
	config.Log, _ = counting(config.Log) // of the database, too
	db, err := database.Open(ctx, databaseURL, config.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Prepare(ctx); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if err := db.ReadLogFrom(ctx, config.ReadDatabases, config.Log); err != nil {
		return fmt.Errorf("--read-database: %w", err)
	}
	config.DB = db
	store, err := db.Store(nil)
	if err != nil {
		return err
	}
	if config.SecretKey, err = secretKey(ctx, config.SecretKey, databaseURL, store); err != nil {
		return err
	}
	if err := prepareDemo(ctx, config, store, console); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", config.Addr)
	if err != nil {
		return fmt.Errorf("--addr: %w", err)
	}
	defer listener.Close()
	var scraped net.Listener
	if config.Metrics != "" {
		if scraped, err = (&net.ListenConfig{}).Listen(ctx, "tcp", config.Metrics); err != nil {
			return fmt.Errorf("--metrics: %w", err)
		}
		defer scraped.Close()
		config.Metrics = withPort(config.Metrics, scraped.Addr())
	}
	config.Addr = withPort(config.Addr, listener.Addr())
	a, err := New(config, store)
	if err != nil {
		return err
	}
	if err := db.WarnOfRights(ctx, config.Log); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if err := a.greet(ctx, console); err != nil {
		return err
	}
	if scraped != nil {
		ctx, stop := context.WithCancel(ctx)
		var answering sync.WaitGroup
		answering.Go(func() { a.serveMetrics(ctx, scraped) })
		defer answering.Wait()
		defer stop()
	}
	return a.Serve(ctx, listener)
}

// withPort is an address with the port that is listened on, where 0 was asked for. A host name stays: browsers
// keep cookies by it, and so those of localhost:8081 apart from those of the demo on 127.0.0.1:8080.
func withPort(addr string, listening net.Addr) string {
	host, _, err := net.SplitHostPort(addr)
	tcp, ok := listening.(*net.TCPAddr)
	if err != nil || !ok {
		return listening.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(tcp.Port))
}

// softMemory is how much memory Go's part of a server takes before it collects what is no longer used more
// often than it would. The bounds on what comes in keep a server well below 256 MB; without this, so much
// again could be waiting to be collected. GOMEMLIMIT sets another.
const softMemory = 150 << 20

func boundMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemory)
	}
}

// prepareDemo fills the demo where one is asked for, before the server listens: who connects sees a
// complete log.
func prepareDemo(ctx context.Context, config Config, store *models.Store, console io.Writer) error {
	filled, err := demo.Filled(ctx, store)
	switch {
	case err != nil:
		return err
	case !config.Demo && filled:
		config.Log.Warn("this database holds the demo, whose passwords are public: use another one (--database)")
		return nil
	case !config.Demo:
		return nil
	case !filled:
		fmt.Fprintln(console, "Filling the demo: 90 days of a company's log. This takes a few seconds.")
	}
	return demo.Prepare(ctx, store, config.Log)
}

// greet writes to the console where the app is, and the token of a first start.
func (a *App) greet(ctx context.Context, console io.Writer) error {
	fmt.Fprintf(console, "\nAudit Logs is at %s\n", a.config.BaseURL)
	if a.config.Metrics != "" {
		fmt.Fprintf(console, "Metrics are at http://%s/metrics\n", displayAddr(a.config.Metrics))
	}
	if a.config.Demo {
		fmt.Fprintln(console, "Sign in as one of the demo's accounts:")
		for _, account := range demo.Accounts() {
			fmt.Fprintf(console, "    %s, password %s (%s)\n", account.Email, account.Password, account.Role)
		}
	}
	var token string
	var ofNobody []models.Organization
	err := a.store.Transaction(ctx, func(tx *gorm.DB) (err error) {
		if token, err = accounts.CreateSetupToken(ctx, tx); err != nil || token == "" {
			return err
		}
		ofNobody, err = accounts.OrganizationsOfNobody(ctx, tx, 1)
		return err
	})
	if err != nil {
		return err
	}
	if token != "" {
		fmt.Fprintf(console, "There are no accounts yet. Create the first one at %s/setup with this token:\n\n    %s\n", a.config.BaseURL, token)
	}
	if len(ofNobody) > 0 {
		fmt.Fprintf(console, "\nApplications record already, as into %s. Choose the organization you take over at\n\n    %s/setup?token=%s\n",
			ofNobody[0].Slug, a.config.BaseURL, token)
	}
	fmt.Fprintln(console)
	return nil
}

// Serve answers requests on listener and runs the background jobs until ctx ends. It returns when
// all of that has ended.
func (a *App) Serve(ctx context.Context, listener net.Listener) error {
	jobsContext, stopJobs := context.WithCancel(ctx)
	defer stopJobs()
	var background sync.WaitGroup
	background.Go(func() { a.access.Run(jobsContext) })
	if !a.config.WithoutJobs {
		if err := a.startJobs(jobsContext, &background); err != nil {
			return err
		}
	}

	served := make(chan error, 1)
	go func() { served <- a.fiber.Listener(intake.Listen(listener, a.proxies, arrivalTime)) }()
	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		a.config.Log.Info("shutting down")
		err = a.shutdown()
	}
	stopJobs()
	background.Wait()
	return err
}

// startJobs starts what works in the background until ctx ends.
func (a *App) startJobs(ctx context.Context, background *sync.WaitGroup) error {
	retention, err := jobs.NewRetention(a.store, settings.Settle, a.config.Log, jobs.RetentionConfig{AccessLogDays: a.config.AccessLogDays})
	if err != nil {
		return err
	}
	background.Go(func() { retention.Run(ctx) })
	follower := jobs.NewFollower(a.store, a.config.Log, jobs.Consumers, jobs.FollowerConfig{})
	background.Go(func() { follower.Run(ctx) })
	if a.config.Demo {
		background.Go(func() {
			if err := demo.Run(ctx, a.store, a.config.Log); err != nil {
				a.config.Log.Error("the demo's log does not grow any more", "error", err)
			}
		})
	}
	return nil
}

// shutdown takes no more requests and lets those under way end: by themselves at first, then by
// cutting off their work in the database.
func (a *App) shutdown() error {
	defer a.stop()
	a.endStreams()
	cutOff := time.AfterFunc(patience, a.stop)
	defer cutOff.Stop()
	err := a.fiber.ShutdownWithTimeout(patience + lastWords)
	if errors.Is(err, context.DeadlineExceeded) {
		a.config.Log.Warn("some connections did not end in time")
		return nil
	}
	a.handlers.Live.Wait()
	return err
}
