// Package commands is the command line of auditlogs: serve, migrate and what an operator does by hand.
package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	_ "time/tzdata" // readers' time zones, also where the system has none

	"github.com/alecthomas/kong"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/importer"
)

// Main runs the command line the process was started with, and ends the process.
func Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// commands is the command line. Every flag can also be set by a variable AUDITLOGS_….
type commands struct {
	Serve         serveCommand         `cmd:"" help:"Run the server. Migrates the database first, where its user owns the tables."`
	Migrate       migrateCommand       `cmd:"" help:"Bring the database's schema up to date. Safe to run from several hosts at once."`
	Reset         resetCommand         `cmd:"" name:"reset-password" help:"Print a one-time link with which the owner of an account sets a new password."`
	Invite        inviteCommand        `cmd:"" help:"Print a one-time link with which somebody joins an organization."`
	Organizations organizationsCommand `cmd:"" help:"List the organizations, and how many belong to each."`
	Search        searchCommand        `cmd:"" help:"Print the entries of an organization that a question finds, newest first."`
	Import        importCommand        `cmd:"" help:"Back-fill the log from a file of events, one JSON object a line, or put back an export."`
	Record        recordCommand        `cmd:"" help:"Record one event, from a script, and print the ID of its entry."`
	Backup        backupCommand        `cmd:"" help:"Copy the whole database to a file, while servers and applications go on."`
	Restore       restoreCommand       `cmd:"" help:"Make a database of a file that backup has made."`
	Version       versionCommand       `cmd:"" help:"Print the version."`

	VersionFlag kong.VersionFlag `name:"version" help:"Print the version." env:"-"`
}

type databaseFlags struct {
	Database  string `placeholder:"URL" help:"Where the log is kept: sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME (default: sqlite:data/auditlogs.db; with --demo: sqlite:data/demo.db)."`
	LogFormat string `enum:"text,json" default:"text" help:"Format of the server's own log: ${enum}."`
}

// maskFlags are those of commands through which events come in.
type maskFlags struct {
	MaskKeys []string `placeholder:"KEY" help:"Keys of metadata whose values are never stored, besides those that look like credentials: pin masks userPin, and not shipping."`
	KeepKeys []string `placeholder:"KEY" help:"Keys of metadata that look like credentials and are none here: client token keeps clientToken, and not userClientToken."`
}

// AfterApply is called by kong, before the command runs.
func (f maskFlags) AfterApply() error {
	for _, keys := range []struct {
		flag string
		keys []string
		add  func(...string)
	}{{"--mask-keys", f.MaskKeys, event.MaskKeys}, {"--keep-keys", f.KeepKeys, event.KeepKeys}} {
		for _, key := range keys.keys {
			if err := event.CheckKey(keys.flag, key); err != nil {
				return err
			}
		}
		keys.add(keys.keys...)
	}
	return nil
}

// streams are what a command reads and writes: results and what the operator must know go to stdout,
// the log to stderr.
type streams struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

// Run executes the command line and returns the process's exit code: 0 where it did what was asked, 2
// where the same command may do it later, and 1 otherwise.
func Run(ctx context.Context, arguments []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
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
		kong.Vars{"version": version(), "formats": strings.Join(importer.Formats(), ", ")},
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	command, err := parser.Parse(arguments)
	if err == nil {
		command.BindTo(ctx, (*context.Context)(nil))
		err = command.Run(streams{stdin, stdout, stderr})
	}
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(unfinished)):
		code = 2
	default:
		code = 1
	}
	fmt.Fprintln(stderr, "auditlogs:", strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "audit: "))
	return code
}

// url returns the address of the database. A demo has a file of its own, so that a later production
// start does not find its well-known passwords.
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

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(to streams) error {
	_, err := fmt.Fprintln(to.stdout, version())
	return err
}

// version returns that of the module, or of the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
