// A small service on net/http and database/sql that records every change of what it keeps, in the
// transaction of that change:
//
//	go run -C examples ./nethttp-service
//	curl -u ada: -d '{"name": "checkout", "replicas": 2}' http://127.0.0.1:8081/services
//
// It keeps its services and their audit log in service.db, or in a PostgreSQL database:
//
//	go run -C examples ./nethttp-service -database postgres://…
package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/audithttp"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
)

// Service is what this service keeps. Its tags decide what the log shows of a change: of the token only
// that it changed.
type Service struct {
	ID       string `json:"id" audit:"ignore"`
	Name     string `json:"name"`
	Replicas int    `json:"replicas"`
	Token    string `json:"token" audit:"secret"`
}

// organization is whose services they are; a service for many tenants takes it from the request.
const organization = "acme"

type server struct {
	db    *sql.DB
	audit audit.Dialect
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8081", "address to listen on")
	database := flag.String("database", "service.db", "path of a SQLite file, or postgres://…")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	s, err := open(ctx, *database)
	if err != nil {
		log.Fatal(err)
	}
	defer s.db.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /services", s.answer(s.create))
	mux.HandleFunc("PATCH /services/{id}", s.answer(s.update))
	mux.HandleFunc("DELETE /services/{id}", s.answer(s.remove))

	// Who acts and from where is found once a request; what the handlers record carries it.
	identify := audithttp.New(audithttp.Config{Actor: func(r *http.Request) audit.Actor {
		name, _, _ := r.BasicAuth()
		return audit.Actor{ID: name}
	}})
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Listening on http://%s\n", listener.Addr())
	strict := audit.Strict(context.Background()) // a misspelt action, or a change outside of a transaction, is an error
	web := &http.Server{Handler: signedIn(identify(mux)), BaseContext: func(net.Listener) context.Context { return strict }}
	answered := make(chan struct{}) // closed when an interrupt finds no request under way any more
	context.AfterFunc(ctx, func() {
		defer close(answered)
		_ = web.Shutdown(context.Background())
	})
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-answered
}

// open opens the database, and makes the tables of the service and of its audit log.
func open(ctx context.Context, database string) (*server, error) {
	s := &server{audit: audit.SQLite}
	driver, address := "sqlite", "file:"+database+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate"
	if strings.HasPrefix(database, "postgres://") {
		s.audit, driver, address = audit.PostgreSQL, "pgx", database
	}
	var err error
	if s.db, err = sql.Open(driver, address); err != nil {
		return nil, err
	}
	if err := migrate.SQL(ctx, s.db, s.audit); err != nil {
		return nil, err
	}
	return s, s.inTransaction(ctx, func(tx *sql.Tx) error {
		if _, err := s.audit.EnsureOrganization(ctx, tx, audit.Organization{Slug: organization, Name: "Acme"}); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS services (
			id text PRIMARY KEY, name text NOT NULL UNIQUE, replicas integer NOT NULL CHECK (replicas <= 10), token text NOT NULL)`)
		return err
	})
}

// inTransaction keeps what do did, the change and its entry, or nothing of it.
func (s *server) inTransaction(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// record records that action was done to what was before and is after; nil stands for neither.
func (s *server) record(ctx context.Context, tx *sql.Tx, action action.Action, id, name string, before, after *Service) error {
	_, err := s.audit.Record(ctx, tx, audit.Event{
		Organization: organization,
		Action:       action,
		EntityID:     id,
		EntityName:   name,
		Metadata:     map[string]any{"changes": audit.Changes(before, after)},
	})
	return err
}

func (s *server) create(r *http.Request) (any, error) {
	service := Service{ID: "svc-" + strings.ToLower(rand.Text()[:8])}
	if err := read(r, &service); err != nil {
		return nil, err
	}
	return service, s.inTransaction(r.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(r.Context(), "INSERT INTO services (id, name, replicas, token) VALUES ($1, $2, $3, $4)",
			service.ID, service.Name, service.Replicas, service.Token)
		if err != nil {
			return err
		}
		return s.record(r.Context(), tx, action.ServiceCreate, service.ID, service.Name, nil, &service)
	})
}

func (s *server) update(r *http.Request) (any, error) {
	var after Service
	return &after, s.inTransaction(r.Context(), func(tx *sql.Tx) error {
		before, err := find(r.Context(), tx, r.PathValue("id"))
		if err != nil {
			return err
		}
		after = before
		if err := read(r, &after); err != nil {
			return err
		}
		_, err = tx.ExecContext(r.Context(), "UPDATE services SET name = $1, replicas = $2, token = $3 WHERE id = $4",
			after.Name, after.Replicas, after.Token, before.ID)
		if err != nil {
			return err
		}
		return s.record(r.Context(), tx, action.ServiceUpdate, after.ID, after.Name, &before, &after)
	})
}

func (s *server) remove(r *http.Request) (any, error) {
	return nil, s.inTransaction(r.Context(), func(tx *sql.Tx) error {
		before, err := find(r.Context(), tx, r.PathValue("id"))
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(r.Context(), "DELETE FROM services WHERE id = $1", before.ID); err != nil {
			return err
		}
		return s.record(r.Context(), tx, action.ServiceDelete, before.ID, before.Name, &before, nil)
	})
}

func find(ctx context.Context, tx *sql.Tx, id string) (service Service, err error) {
	err = tx.QueryRowContext(ctx, "SELECT id, name, replicas, token FROM services WHERE id = $1", id).
		Scan(&service.ID, &service.Name, &service.Replicas, &service.Token)
	return service, err
}

// read takes from the request what is in it of a service; its ID is not for the client to choose.
func read(r *http.Request, service *Service) error {
	id := service.ID
	err := json.NewDecoder(r.Body).Decode(service)
	service.ID = id
	return err
}

// answer writes what a handler found as JSON, or why it did not.
func (s *server) answer(handle func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		found, err := handle(r)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			http.Error(w, "no such service", http.StatusNotFound)
		case err != nil:
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		default:
			_ = json.NewEncoder(w).Encode(found)
		}
	}
}

// signedIn stands for the service's own sign-in: here whoever gives a name is believed.
func signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, _, given := r.BasicAuth(); !given || name == "" {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "say who you are", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
