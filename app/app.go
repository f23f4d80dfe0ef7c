// Package app puts the web app together: configuration, middleware, the table of routes and the
// server's life from start to shutdown.
package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/auditlogs/auditlogs/app/audit/auditfiber"
	"github.com/auditlogs/auditlogs/handlers"
	"github.com/auditlogs/auditlogs/handlers/intake"
	"github.com/auditlogs/auditlogs/handlers/live"
	"github.com/auditlogs/auditlogs/handlers/secrets"
	"github.com/auditlogs/auditlogs/handlers/sessions"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accesslog"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/static"
	"github.com/auditlogs/auditlogs/views"
)

const (
	// requestTimeout ends a request's work in the database.
	requestTimeout = 30 * time.Second
	// idleTimeout is how long a connection is kept between two requests.
	idleTimeout = 2 * time.Minute
	// arrivalTime is how long a request may take to come in, head and body, and a new connection for its
	// first byte.
	arrivalTime = 30 * time.Second
	// keptBuffers is how large a buffer of an answer may be to be kept for the next one.
	keptBuffers = 128 << 10
	// maxHeader is the largest request head: a log page's address may name many actions and users.
	maxHeader = 32 << 10
)

// App is the web app on a store.
type App struct {
	config   Config
	store    *models.Store
	fiber    *fiber.App
	handlers *handlers.Handlers
	files    *static.Files
	origin   *http.CrossOriginProtection
	proxies  intake.Proxies // the trusted ones
	answers  *intake.Budget // large ones, until they have been read
	storage  *storage
	metrics  *metrics
	access   *accesslog.Log
	// endStreams ends the streams of entries, when the server shuts down.
	endStreams func()

	// behindUnknownProxy is set once X-Forwarded-For comes in while no proxy is trusted.
	behindUnknownProxy atomic.Bool

	// running ends when the server shuts down, and with it the work of every request.
	running context.Context
	stop    context.CancelFunc
}

// Routes lists what the app answers, for tests that hold for every route.
func (a *App) Routes() []fiber.Route { return a.fiber.GetRoutes(true) }

// fasthttp would keep the memory of a large answer for as long as its connection is open. This holds for all
// servers of a process.
func init() { fasthttp.SetBodySizePoolLimit(keptBuffers, keptBuffers) }

// New builds the web app. It does not listen; see Serve and Run.
func New(config Config, store *models.Store) (*App, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	metrics := newMetrics()
	log, lines := counting(config.Log)
	config.Log = log
	metrics.registry.MustRegister(lines)
	a := &App{config: config, store: store, origin: http.NewCrossOriginProtection(),
		proxies: intake.ParseProxies(config.TrustedProxies), answers: newAnswers(),
		metrics: metrics, storage: newStorage(config, store)}
	if err := a.origin.AddTrustedOrigin(config.BaseURL); err != nil {
		return nil, fmt.Errorf("--base-url: %w", err)
	}
	a.running, a.stop = context.WithCancel(context.Background())

	var err error
	if a.files, err = static.Load(); err != nil {
		return nil, err
	}
	questions, places := entries.NewLog(store), secrets.NewShared(store, "places_key")
	bounds := live.Usual
	if config.LiveBounds != nil {
		bounds = *config.LiveBounds
	}
	streaming, endStreams := context.WithCancel(a.running)
	a.endStreams = endStreams
	a.access = accesslog.New(store, config.Log)
	a.handlers = &handlers.Handlers{
		Store:    store,
		Accounts: accounts.NewStore(store),
		Sessions: sessions.New(store, config.BaseURL),
		Log:      config.Log,
		BaseURL:  config.BaseURL,
		Demo:     config.Demo,
		Entries:  questions,
		Listing:  questions,

		APIRateLimit:   config.APIRateLimit,
		RetentionGrace: config.RetentionGrace,

		Access:        a.access,
		AccessLogDays: config.AccessLogDays,

		Proxies: a.proxies,
		Budgets: handlers.NewBudgets(),

		Tally: tally{a.metrics, a.storage},

		Questions: handlers.NewQuestionShares(store),
		Exports:   handlers.NewExportShares(),
		Counting:  handlers.NewCountingShares(),
		Places:    places,
		Live:      live.New(streaming, questions, places, config.Log, bounds),
		LivePace:  handlers.UsualPace,
	}
	if config.LivePace != nil {
		a.handlers.LivePace = *config.LivePace
	}
	if config.Listing != nil {
		a.handlers.Listing = config.Listing
	}
	if config.SecretKey != "" {
		if a.handlers.Secrets, err = secrets.New(config.SecretKey); err != nil {
			return nil, err
		}
	}
	if a.handlers.Views, err = views.Load(); err != nil {
		return nil, err
	}
	a.fiber = fiber.New(fiber.Config{
		// Strings of a request may be kept: Fiber would otherwise overwrite them with the next one.
		Immutable:               true,
		EnableTrustedProxyCheck: true,
		TrustedProxies:          config.TrustedProxies,
		ErrorHandler:            a.fail,
		CaseSensitive:           true,
		DisableStartupMessage:   true,
		// Handlers read bodies, within their own bounds, once they know who sends them. This must not be
		// together with ReduceMemoryUsage: fasthttp 1.51 then reads bodies by a buffer it has given away.
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		BodyLimit:                    max(handlers.MaxEventsBody, handlers.MaxDelivery),
		ReadBufferSize:               maxHeader,
		ReadTimeout:                  arrivalTime,
		WriteTimeout:                 time.Minute,
		IdleTimeout:                  idleTimeout,
	})
	server := a.fiber.Server()
	server.Handler = a.guard(server.Handler)
	server.KeepHijackedConns = true // streams of entries go on without it
	server.ConnState = func(conn net.Conn, state fasthttp.ConnState) {
		if conn, ours := conn.(*intake.Conn); ours && state == fasthttp.StateIdle {
			conn.Await()
		}
	}
	a.fiber.Use(a.answer, auditfiber.New(auditfiber.Config{}), a.noteUnknownProxy, refuseEncoded, a.refuseCrossOrigin)
	a.routes()
	return a, a.registerDatabase()
}
