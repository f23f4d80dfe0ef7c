package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// The server is compared with two others, which this program runs as processes of their own:
//
//	bench peer rows DATABASE    the server itself, but for the log's entries, which are in memory
//	bench peer bytes FILE…      Fiber, which answers the name of a file with its bytes
const peerCommand = "peer"

// runPeer is one of these servers, until it is told to stop.
func runPeer(arguments []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch {
	case len(arguments) == 2 && arguments[0] == "rows":
		return serveRows(ctx, arguments[1])
	case len(arguments) > 1 && arguments[0] == "bytes":
		return serveBytes(ctx, arguments[1:])
	default:
		return errors.New("peer rows DATABASE, or peer bytes FILE…")
	}
}

// remembered is the first page of a log, in memory.
type remembered struct {
	page entries.Page
	gaps []models.Gap
}

func (r remembered) Page(context.Context, models.Organization, entries.Query) (entries.Page, error) {
	return r.page, nil
}

func (r remembered) LoggingGaps(context.Context, models.Organization) ([]models.Gap, error) {
	return r.gaps, nil
}

func serveRows(ctx context.Context, url string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	listing, err := remember(ctx, url, log)
	if err != nil {
		return err
	}
	return app.Run(ctx, app.Config{Addr: "127.0.0.1:0", Log: log, Listing: listing}, url, os.Stdout)
}

// remember reads the first page of the large organization's log.
func remember(ctx context.Context, url string, log *slog.Logger) (r remembered, err error) {
	db, err := database.Open(ctx, url, log)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	store, err := db.Store(nil)
	if err != nil {
		return r, err
	}
	org, err := models.OrganizationByRef(ctx, store.Reader(ctx), models.OrganizationRef{Slug: benchdata.Large})
	if err != nil {
		return r, err
	}
	if r.page, err = entries.NewLog(store).Page(ctx, org, entries.Query{}); err != nil {
		return r, err
	}
	r.gaps, err = store.LoggingGaps(ctx, org)
	return r, err
}

// serveBytes answers with bytes that are compressed already, as the server does.
func serveBytes(ctx context.Context, files []string) error {
	answers := map[string][]byte{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		answers["/"+filepath.Base(file)] = content
	}
	server := fiber.New(fiber.Config{DisableStartupMessage: true})
	server.Get("/*", func(c *fiber.Ctx) error {
		answer, ok := answers[c.Path()]
		if !ok {
			return fiber.ErrNotFound
		}
		c.Type("html", "utf-8")
		c.Set(fiber.HeaderContentEncoding, "br")
		return c.Send(answer)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("The bytes are at http://%s\n", listener.Addr())
	defer context.AfterFunc(ctx, func() { _ = server.Shutdown() })()
	return server.Listener(listener)
}
