// Package app puts the web app together: configuration, middleware, the table of routes and the
// server's life from start to shutdown.
package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/auditfiber"
	"github.com/auditlogs/auditlogs/app/secrets"
	"github.com/auditlogs/auditlogs/app/sessions"
	"github.com/auditlogs/auditlogs/handlers"
	"github.com/auditlogs/auditlogs/models"
)

const (
	// requestTimeout ends a request's work in the database.
	requestTimeout = 30 * time.Second
	// maxBody is the largest form accepted.
	maxBody = 1 << 20
	// maxHeader is the largest request head: a log page's address may name many actions and users.
	maxHeader = 32 << 10
)

// App is the web app on a store.
type App struct {
	config   Config
	store    *models.Store
	fiber    *fiber.App
	handlers *handlers.Handlers
	assets   *assets
	origin   *http.CrossOriginProtection

	// running ends when the server shuts down, and with it the work of every request.
	running context.Context
	stop    context.CancelFunc
}

// Routes lists what the app answers, for tests that hold for every route.
func (a *App) Routes() []fiber.Route { return a.fiber.GetRoutes(true) }

// New builds the web app. It does not listen; see Serve and Run.
func New(config Config, store *models.Store) (*App, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	a := &App{config: config, store: store, origin: http.NewCrossOriginProtection()}
	if err := a.origin.AddTrustedOrigin(config.BaseURL); err != nil {
		return nil, fmt.Errorf("--base-url: %w", err)
	}
	a.running, a.stop = context.WithCancel(context.Background())

	var err error
	if a.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	a.handlers = &handlers.Handlers{
		Store:    store,
		Sessions: sessions.New(store, config.BaseURL),
		Log:      config.Log,
		BaseURL:  config.BaseURL,
		Demo:     config.Demo,
		Assets:   a.assets.address,
		Listing:  store,

		APIRateLimit: config.APIRateLimit,
	}
	if config.Listing != nil {
		a.handlers.Listing = config.Listing
	}
	if config.SecretKey != "" {
		if a.handlers.Secrets, err = secrets.New(config.SecretKey); err != nil {
			return nil, err
		}
	}
	if a.handlers.Views, err = loadViews(handlers.TemplateFuncs(a.assets.address)); err != nil {
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
		BodyLimit:               maxBody,
		ReadBufferSize:          maxHeader,
		ReadTimeout:             30 * time.Second,
		WriteTimeout:            time.Minute,
		IdleTimeout:             2 * time.Minute,
	})
	a.fiber.Server().HeaderReceived = limitBody
	a.fiber.Use(a.answer, a.refuseCrossOrigin, auditfiber.New(auditfiber.Config{}))
	a.routes()
	return a, nil
}
