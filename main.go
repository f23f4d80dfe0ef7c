// Command auditlogs is an organization's audit log: the web app in which its people read, search
// and keep the record of what happened.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // readers' time zones, also where the system has none

	"github.com/alecthomas/kong"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// commands is the command line. Every flag can also be set by a variable AUDITLOGS_….
type commands struct {
	Serve   serveCommand     `cmd:"" help:"Run the server. Migrates the database first, where its user owns the tables."`
	Migrate migrateCommand   `cmd:"" help:"Bring the database's schema up to date. Safe to run from several hosts at once."`
	Reset   resetCommand     `cmd:"" name:"reset-password" help:"Print a one-time link with which the owner of an account sets a new password."`
	Invite  inviteCommand    `cmd:"" help:"Print a one-time link with which somebody joins an organization."`
	Import  importCommand    `cmd:"" help:"Back-fill the log from a file of events, one JSON object a line, or put back an export."`
	Record  recordCommand    `cmd:"" help:"Record one event, from a script, and print the ID of its entry."`
	Version kong.VersionFlag `help:"Print the version." env:"-"`
}

type databaseFlags struct {
	Database  string `placeholder:"URL" help:"Where the log is kept: sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME (default: sqlite:data/auditlogs.db; with --demo: sqlite:data/demo.db)."`
	LogFormat string `enum:"text,json" default:"text" help:"Format of the server's own log: ${enum}."`
}

type serveCommand struct {
	databaseFlags
	Addr           string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on (default: ${default})."`
	ReadDatabase   []string      `placeholder:"URL" help:"Streaming replicas of a PostgreSQL database that the log is read from: postgres://… addresses."`
	BaseURL        string        `placeholder:"URL" help:"Address people use, for links and secure cookies (default: http:// and --addr)."`
	TrustedProxies []string      `placeholder:"IP" help:"Proxies whose X-Forwarded-For is believed: addresses and ranges such as 10.0.0.0/8."`
	SecretKey      string        `placeholder:"KEY" help:"Encrypts stored secrets: the base64 of 32 bytes, as openssl rand -base64 32 makes it; NEW,OLD changes it (default: on SQLite made beside the database)."`
	APIRateLimit   int           `default:"100" placeholder:"N" help:"Requests a second each API key is allowed, and twice as many at once; 0 means any number (default: ${default})."`
	RetentionGrace time.Duration `default:"24h" placeholder:"TIME" help:"How long a lowered retention can be undone before it takes effect; 0 means that it takes effect at once (default: ${default})."`
	Demo           bool          `help:"Fill an empty database with a demo organization whose log goes on growing. On this machine only."`
}

type migrateCommand struct {
	databaseFlags
}

// linkFlags are those of commands that print a link.
type linkFlags struct {
	databaseFlags
	BaseURL string `default:"http://127.0.0.1:8080" placeholder:"URL" help:"Address people use: what the link begins with (default: ${default})."`
}

type resetCommand struct {
	linkFlags
	Email string `arg:"" help:"E-mail address of the account."`
}

type inviteCommand struct {
	linkFlags
	Role string `enum:"admin,member" default:"admin" help:"What they may do there: ${enum} (default: ${default})."`
	Slug string `arg:"" help:"Slug of the organization."`
}

type importCommand struct {
	databaseFlags
	Organization string `placeholder:"SLUG" help:"Organization of the lines that name none."`
	Refused      string `placeholder:"FILE" env:"-" help:"File that gets the lines which are refused, to be mended and imported."`
	Restore      bool   `env:"-" help:"Put back an NDJSON export of this log: every entry as it was, the app's own included."`
	DryRun       bool   `env:"-" help:"Check everything and store nothing."`
	File         string `arg:"" help:"File to import; - for standard input."`
}

// recordCommand has no variables for what an event says: AUDITLOGS_URL and the like would be taken
// from an environment that means something else by them.
type recordCommand struct {
	databaseFlags
	Server       string `placeholder:"URL" help:"Record over HTTP at this server, instead of in --database."`
	Key          string `placeholder:"KEY" help:"API key for --server; safer as a variable."`
	Organization string `placeholder:"SLUG" help:"Organization it happened in (default with --server: the key's)."`
	Action       string `required:"" placeholder:"ENTITY:VERB" env:"-" help:"What happened, such as deployment:create."`
	EntityID     string `required:"" name:"entity-id" placeholder:"ID" env:"-" help:"What was affected."`
	EntityType   string `placeholder:"TYPE" env:"-" help:"Its type (default: the part of the action before the colon)."`
	EntityName   string `placeholder:"NAME" env:"-" help:"Its name."`
	ActorID      string `name:"actor-id" placeholder:"ID" env:"-" help:"Who did it. This or --system is required."`
	ActorName    string `placeholder:"NAME" env:"-" help:"Their name."`
	ActorEmail   string `placeholder:"EMAIL" env:"-" help:"Their e-mail address."`
	System       string `placeholder:"SOURCE" env:"-" help:"Instead of an actor: the automation that did it, such as nightly-backup."`
	OccurredAt   string `placeholder:"TIME" env:"-" help:"When it happened, such as 2026-11-20T14:03:22Z (default: now)."`
	Metadata     string `placeholder:"JSON" env:"-" help:"A JSON object; @FILE reads it from a file, - from standard input."`
	URL          string `name:"url" placeholder:"URL" env:"-" help:"Where the affected resource is found."`
	ID           string `name:"id" placeholder:"ID" env:"-" help:"Key of the event: with the same one it is recorded once."`
}

// streams are where a command writes: results and what the operator must know to stdout, the log to
// stderr.
type streams struct{ stdout, stderr io.Writer }

// run executes the command line and answers the process's exit code.
func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) (code int) {
	type exit int // kong ends the process after --help and --version by itself: here it only ends run
	defer func() {
		switch p := recover().(type) {
		case nil:
		case exit:
			code = int(p)
		default:
			panic(p)
		}
	}()
	parser := kong.Must(&commands{},
		kong.Name("auditlogs"),
		kong.Description("An organization's audit log."),
		kong.DefaultEnvars("AUDITLOGS"),
		kong.Vars{"version": version()},
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	command, err := parser.Parse(arguments)
	if err == nil {
		command.BindTo(ctx, (*context.Context)(nil))
		err = command.Run(streams{stdout, stderr})
	}
	var unfinished app.Unfinished
	switch {
	case err == nil:
		return 0
	case errors.As(err, &unfinished):
		code = unfinished.ExitCode()
	default:
		code = 1
	}
	fmt.Fprintln(stderr, "auditlogs:", strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "audit: "))
	return code
}

func (c *serveCommand) Run(ctx context.Context, to streams) error {
	err := app.Run(ctx, app.Config{
		Addr:           c.Addr,
		BaseURL:        c.BaseURL,
		TrustedProxies: c.TrustedProxies,
		SecretKey:      c.SecretKey,
		ReadDatabases:  c.ReadDatabase,
		APIRateLimit:   c.APIRateLimit,
		RetentionGrace: c.RetentionGrace,
		Demo:           c.Demo,
		Log:            c.log(to),
	}, c.url(c.Demo), to.stdout)
	if errors.Is(err, context.Canceled) {
		return nil // it was told to stop before it was up
	}
	return err
}

func (c *migrateCommand) Run(ctx context.Context, to streams) error {
	db, err := database.Open(ctx, c.url(false), c.log(to))
	if err != nil {
		return err
	}
	if err := errors.Join(db.Migrate(ctx), db.Close()); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	fmt.Fprintln(to.stdout, "The schema is up to date.")
	return nil
}

func (c *resetCommand) Run(ctx context.Context, to streams) error {
	return c.operator(to).ResetPassword(ctx, c.Email)
}

func (c *inviteCommand) Run(ctx context.Context, to streams) error {
	return c.operator(to).Invite(ctx, c.Slug, models.Role(c.Role))
}

func (f *linkFlags) operator(to streams) app.Operator {
	return app.Operator{Database: f.url(false), BaseURL: f.BaseURL, Console: to.stdout, Log: f.log(to)}
}

func (c *importCommand) Run(ctx context.Context, to streams) error {
	return app.Import{
		Database:     c.url(false),
		File:         c.File,
		Organization: c.Organization,
		Refused:      c.Refused,
		Restore:      c.Restore,
		DryRun:       c.DryRun,
		Stdin:        os.Stdin,
		Console:      to.stdout,
		Report:       to.stderr,
		Log:          c.log(to),
	}.Run(ctx)
}

func (c *recordCommand) Run(ctx context.Context, line *kong.Context, to streams) error {
	event, err := c.event(os.Stdin)
	if err != nil {
		return err
	}
	var receipt audit.Receipt
	over, err := c.overHTTP(line)
	switch {
	case err != nil:
		return err
	case over:
		receipt, err = app.RecordOver(ctx, audit.ClientConfig{URL: c.Server, Key: c.Key, Log: c.log(to)}, event)
	default:
		receipt, err = app.RecordOne(ctx, c.url(false), event, c.log(to))
	}
	if err != nil {
		return err
	}
	if !receipt.Stored {
		fmt.Fprintln(to.stderr, "Nothing was stored: audit logging is off.")
		return nil
	}
	fmt.Fprintln(to.stdout, receipt.EntryID)
	return nil
}

// overHTTP says which of a server and a database is meant. A flag wins over variables, which may be
// there for other commands.
func (c *recordCommand) overHTTP(line *kong.Context) (bool, error) {
	given := map[string]bool{}
	for _, part := range line.Path {
		if part.Flag != nil {
			given[part.Flag.Name] = true
		}
	}
	switch {
	case given["server"] && given["database"]:
		return false, errors.New("--server and --database: only one of them can be recorded in")
	case c.Server == "" || given["database"]:
		return false, nil
	case c.Key == "":
		return false, errors.New("--server needs an API key: --key, or the variable AUDITLOGS_KEY")
	default:
		return true, nil
	}
}

// event is what the flags say.
func (c *recordCommand) event(stdin io.Reader) (audit.Event, error) {
	event := audit.Event{
		ID: c.ID, Organization: c.Organization, Action: audit.Action(c.Action),
		EntityType: c.EntityType, EntityID: c.EntityID, EntityName: c.EntityName, URL: c.URL,
		Actor: audit.Actor{ID: c.ActorID, Name: c.ActorName, Email: c.ActorEmail},
	}
	if c.System != "" {
		if event.Actor != (audit.Actor{}) {
			return event, errors.New("--system stands for an actor: leave out --actor-id, --actor-name and --actor-email")
		}
		event.Actor = audit.System(c.System)
	}
	if event.Actor.ID == "" {
		return event, errors.New("actor: is required: say who did it with --actor-id, or with --system for automated actions")
	}
	if c.OccurredAt != "" {
		var err error
		if event.OccurredAt, err = time.Parse(time.RFC3339Nano, c.OccurredAt); err != nil {
			return event, fmt.Errorf("occurred_at: %q is not a time such as 2026-11-20T14:03:22Z", c.OccurredAt)
		}
	}
	metadata, err := c.metadata(stdin)
	if err != nil {
		return event, fmt.Errorf("metadata: %w", err)
	}
	if len(metadata) > 0 {
		event.Metadata = json.RawMessage(metadata)
	}
	return event, nil
}

func (c *recordCommand) metadata(stdin io.Reader) ([]byte, error) {
	if c.Metadata == "-" {
		return io.ReadAll(stdin)
	}
	if path, isFile := strings.CutPrefix(c.Metadata, "@"); isFile {
		return os.ReadFile(path)
	}
	return []byte(c.Metadata), nil
}

// url is where the log is kept. A demo has a file of its own: a later production start must not find
// its well-known passwords.
func (f *databaseFlags) url(demo bool) string {
	switch {
	case f.Database != "":
		return f.Database
	case demo:
		return "sqlite:data/demo.db"
	default:
		return "sqlite:data/auditlogs.db"
	}
}

func (f *databaseFlags) log(to streams) *slog.Logger {
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(to.stderr, nil))
	}
	return slog.New(slog.NewTextHandler(to.stderr, nil))
}

// version is that of the module, or of the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
