package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	gormpostgres "gorm.io/driver/postgres"
	"gorm.io/gorm"
)

const (
	// postgresPatience is how long a PostgreSQL that is coming up is waited for.
	postgresPatience = 30 * time.Second
	// postgresConnections is the most one server opens; PostgreSQL allows 100 in all by default.
	postgresConnections = 20
	// postgresOldest is the oldest major version that has everything the schema uses.
	postgresOldest = 13
)

func openPostgres(ctx context.Context, address string, log *slog.Logger) (*DB, error) {
	server, err := parsePostgres(address, 10*time.Second)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	pool := server.open()
	db, err := gorm.Open(gormpostgres.New(gormpostgres.Config{Conn: pool}), gormConfig(log))
	if err == nil {
		err = waitForPostgres(ctx, pool, server.String(), log)
	}
	if err == nil {
		err = server.checkPooler(ctx, pool, log)
	}
	if err == nil {
		err = checkPostgres(ctx, db)
	}
	if err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("database: %s: %s", server, oneLine(err, server.user))
	}
	return &DB{Write: db, Read: db}, nil
}

// postgresServer is what an address names.
type postgresServer struct {
	config  *pgx.ConnConfig
	user    *url.Userinfo
	session *session
}

// String is where the database is, without the password.
func (s postgresServer) String() string {
	return fmt.Sprintf("PostgreSQL at %s:%d, database %q", s.config.Host, s.config.Port, s.config.Database)
}

// parsePostgres reads an address. Connecting takes at most patience where it says nothing else.
func parsePostgres(address string, patience time.Duration) (postgresServer, error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" || parsed.Host == "" && parsed.Query().Get("host") == "" {
		// What url.Parse says may quote a part of the password.
		return postgresServer{}, errors.New("not a PostgreSQL address; it looks like postgres://USER:PASSWORD@HOST:5432/NAME, with special characters of the password written as %XX")
	}
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return postgresServer{}, fmt.Errorf("PostgreSQL address: %s", oneLine(parseReason(err), parsed.User))
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "auditlogs"
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = patience
	}
	return postgresServer{config, parsed.User, &session{modeChosen: parsed.Query().Has("default_query_exec_mode")}}, nil
}

// open makes a pool of connections, which are made when they are needed. All of them are kept while they
// are in use at all: after a moment in which everybody had to wait, they would be closed and made anew.
func (s postgresServer) open() *sql.DB {
	pool := sql.OpenDB(newConnector(s.config, s.session))
	pool.SetMaxOpenConns(postgresConnections)
	pool.SetMaxIdleConns(postgresConnections)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return pool
}

// waitForPostgres returns as soon as the server answers, with nil or with an error that waiting
// does not cure.
func waitForPostgres(ctx context.Context, pool interface{ PingContext(context.Context) error }, where string, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, postgresPatience)
	defer cancel()
	for attempt := 0; ; attempt++ {
		err := pool.PingContext(ctx)
		if err == nil || !comingUp(err) {
			return err
		}
		if attempt == 0 {
			log.Warn("waiting up to 30 s for "+where, "reason", oneLine(err, nil))
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("not reachable for %d s: %w", int(postgresPatience.Seconds()), err)
			}
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// comingUp reports whether err may go away by itself: nobody answers yet, or the server is starting.
func comingUp(err error) bool {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return answer.Code == "57P03" || // cannot_connect_now: starting up
			answer.Code == "53300" || // too_many_connections
			strings.HasPrefix(answer.Message, "pgbouncer cannot connect to server") ||
			strings.HasPrefix(answer.Message, "server login has been failing, try again later")
	}
	var network *net.OpError
	var name *net.DNSError
	return errors.As(err, &network) || errors.As(err, &name) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded)
}

// checkPostgres refuses servers that the schema does not run on, in words.
func checkPostgres(ctx context.Context, db *gorm.DB) error {
	var found struct {
		Version  int
		Encoding string
	}
	err := db.WithContext(ctx).Raw(`SELECT current_setting('server_version_num')::int / 10000 AS version,
		current_setting('server_encoding') AS encoding`).Scan(&found).Error
	switch {
	case err != nil:
		return err
	case found.Version < postgresOldest:
		return fmt.Errorf("the server is version %d; version %d or later is needed", found.Version, postgresOldest)
	case found.Encoding != "UTF8":
		return fmt.Errorf("the database's encoding is %s; UTF8 is needed", found.Encoding)
	default:
		return nil
	}
}

// parseReason is the cause inside of pgx's message, which repeats the address.
func parseReason(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// oneLine is err without line breaks, without what the message around it says already, and,
// whatever a driver put into it, without the password.
func oneLine(err error, user *url.Userinfo) string {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		err = fmt.Errorf("%s (%s)", answer.Message, answer.Code)
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if user == nil {
		return text
	}
	if password, _ := user.Password(); password != "" {
		text = strings.ReplaceAll(text, password, "…")
		text = strings.ReplaceAll(text, url.PathEscape(password), "…")
	}
	return text
}
