// A small service on Fiber and GORM that records every change of what it keeps, in the transaction
// of that change:
//
//	go run -C examples ./fiber-service
//	curl -u ada: --json '{"name": "checkout", "replicas": 2}' http://127.0.0.1:8082/services
//
// It keeps its services and their audit log in service.db, or in a PostgreSQL database:
//
//	go run -C examples ./fiber-service -database postgres://…
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/requestid"
	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	_ "modernc.org/sqlite"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/auditfiber"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
)

// Service is what this service keeps. Its tags decide what the log shows of a change: of the token only
// that it changed.
type Service struct {
	ID       string `json:"id" audit:"ignore"`
	Name     string `json:"name" gorm:"not null;unique"`
	Replicas int    `json:"replicas" gorm:"not null;check:replicas <= 10"`
	Token    string `json:"token" audit:"secret" gorm:"not null"`
}

// organization is whose services they are; a service for many tenants takes it from the request.
const organization = "acme"

type server struct{ db *gorm.DB }

func main() {
	addr := flag.String("addr", "127.0.0.1:8082", "address to listen on")
	database := flag.String("database", "service.db", "path of a SQLite file, or postgres://…")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	s, err := open(ctx, *database)
	if err != nil {
		log.Fatal(err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true, Immutable: true, ErrorHandler: answer})
	// Who acts and from where is found once a request; what the handlers record carries it.
	app.Use(requestid.New(), signedIn, auditfiber.New(auditfiber.Config{Actor: func(c *fiber.Ctx) audit.Actor {
		return audit.Actor{ID: userName(c)}
	}}))
	app.Post("/services", s.create)
	app.Patch("/services/:id", s.update)
	app.Delete("/services/:id", s.remove)

	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Listening on http://%s\n", listener.Addr())
	answered := make(chan struct{}) // closed when an interrupt finds no request under way any more
	context.AfterFunc(ctx, func() {
		defer close(answered)
		_ = app.Shutdown()
	})
	if err := app.Listener(listener); err != nil {
		log.Fatal(err)
	}
	<-answered
}

// open opens the database, and makes the tables of the service and of its audit log.
func open(ctx context.Context, database string) (*server, error) {
	var dialector gorm.Dialector = sqlite.Dialector{
		DriverName: "sqlite",
		DSN:        "file:" + database + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate",
	}
	if strings.HasPrefix(database, "postgres://") {
		dialector = postgres.Open(database)
	}
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return nil, err
	}
	if err := migrate.Up(ctx, db); err != nil {
		return nil, err
	}
	if _, err := audit.EnsureOrganization(ctx, db, audit.Organization{Slug: organization, Name: "Acme"}); err != nil {
		return nil, err
	}
	return &server{db}, db.AutoMigrate(&Service{})
}

// inTransaction keeps what do did, the change and its entry, or nothing of it. Fiber's own c.Context()
// must not reach the database: Fiber uses it again for the next request.
func (s *server) inTransaction(c *fiber.Ctx, do func(ctx context.Context, tx *gorm.DB) error) error {
	ctx := c.UserContext()
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return do(ctx, tx) })
}

// record records that action was done to what was before and is after; nil stands for neither.
func record(ctx context.Context, tx *gorm.DB, action action.Action, id, name string, before, after *Service) error {
	_, err := audit.Record(ctx, tx, audit.Event{
		Organization: organization,
		Action:       action,
		EntityID:     id,
		EntityName:   name,
		Metadata:     map[string]any{"changes": audit.Changes(before, after)},
	})
	return err
}

func (s *server) create(c *fiber.Ctx) error {
	service := Service{ID: "svc-" + strings.ToLower(rand.Text()[:8])}
	if err := read(c, &service); err != nil {
		return err
	}
	err := s.inTransaction(c, func(ctx context.Context, tx *gorm.DB) error {
		if err := tx.Create(&service).Error; err != nil {
			return err
		}
		return record(ctx, tx, action.ServiceCreate, service.ID, service.Name, nil, &service)
	})
	if err != nil {
		return err
	}
	return c.JSON(service)
}

func (s *server) update(c *fiber.Ctx) error {
	var before, after Service
	err := s.inTransaction(c, func(ctx context.Context, tx *gorm.DB) error {
		if err := tx.Where("id = ?", c.Params("id")).Take(&before).Error; err != nil {
			return err
		}
		after = before
		if err := read(c, &after); err != nil {
			return err
		}
		if err := tx.Save(&after).Error; err != nil {
			return err
		}
		return record(ctx, tx, action.ServiceUpdate, after.ID, after.Name, &before, &after)
	})
	if err != nil {
		return err
	}
	return c.JSON(after)
}

func (s *server) remove(c *fiber.Ctx) error {
	return s.inTransaction(c, func(ctx context.Context, tx *gorm.DB) error {
		var before Service
		if err := tx.Where("id = ?", c.Params("id")).Take(&before).Error; err != nil {
			return err
		}
		if err := tx.Delete(&before).Error; err != nil {
			return err
		}
		return record(ctx, tx, action.ServiceDelete, before.ID, before.Name, &before, nil)
	})
}

// read takes from the request what is in it of a service; its ID is not for the client to choose.
func read(c *fiber.Ctx, service *Service) error {
	id := service.ID
	err := c.BodyParser(service)
	service.ID = id
	return err
}

// answer writes why a handler failed.
func answer(c *fiber.Ctx, err error) error {
	status := fiber.StatusUnprocessableEntity
	var known *fiber.Error
	switch {
	case errors.As(err, &known):
		status = known.Code
	case errors.Is(err, gorm.ErrRecordNotFound):
		status = fiber.StatusNotFound
	}
	return c.Status(status).SendString(err.Error())
}

// signedIn stands for the service's own sign-in: here whoever gives a name is believed.
func signedIn(c *fiber.Ctx) error {
	if userName(c) == "" {
		c.Set(fiber.HeaderWWWAuthenticate, "Basic")
		return fiber.NewError(fiber.StatusUnauthorized, "say who you are")
	}
	return c.Next()
}

func userName(c *fiber.Ctx) string {
	encoded, _ := strings.CutPrefix(c.Get(fiber.HeaderAuthorization), "Basic ")
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(string(decoded), ":")
	return name
}
