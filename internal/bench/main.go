// Command bench measures the audit log on databases of any size and keeps what it found in
// BENCHMARKS.md. `make bench` runs it with a PostgreSQL server of its own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/auditlogs/auditlogs/internal/benchdata"
)

// arguments of the command line.
type arguments struct {
	Sections   []string `arg:"" optional:"" help:"What to measure: ${sections}. All but partitions where none is named."`
	Rows       int      `help:"Entries of the log on PostgreSQL." env:"ROWS" default:"1000000"`
	SQLiteRows int      `name:"sqlite-rows" help:"Entries of the log on SQLite; as many as on PostgreSQL, at most 1,000,000, where it is not given." env:"SQLITE_ROWS"`
	Server     string   `help:"A PostgreSQL server: the address of any of its databases, as a superuser." env:"TEST_DATABASE_URL" required:""`
	Folder     string   `help:"Where SQLite databases are kept." default:"data/bench"`
	Report     string   `help:"The file whose sections are written anew." default:"BENCHMARKS.md"`
}

// section is a part of the report that can be measured by itself.
type section struct {
	name    string
	measure func(ctx context.Context, b *bench) (markdown string, err error)
	aside   bool // measured only where it is named
}

// sections are measured in this order.
var sections = []section{
	{name: "questions", measure: measureQuestions},
	{name: "http", measure: measureHTTP},
	{name: "live", measure: measureLive},
	{name: "retention", measure: retention},
	{name: "partitions", measure: measurePartitions, aside: true},
}

// bench is what the sections share.
type bench struct {
	arguments
	until time.Time // when logs that are filled now end
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == peerCommand {
		if err := runPeer(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	names := ""
	for i, s := range sections {
		if i > 0 {
			names += ", "
		}
		names += s.name
	}
	b := &bench{until: time.Now()}
	kong.Parse(&b.arguments, kong.Name("bench"), kong.Vars{"sections": names},
		kong.Description("Measures the audit log and writes what it found into BENCHMARKS.md."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context) error {
	if b.Rows < 10_000 {
		return fmt.Errorf("--rows %d: at least 10,000 are needed", b.Rows)
	}
	if b.SQLiteRows == 0 {
		b.SQLiteRows = min(b.Rows, 1_000_000)
	}
	for _, name := range b.Sections {
		if !slices.ContainsFunc(sections, func(s section) bool { return s.name == name }) {
			return fmt.Errorf("there is no section %q", name)
		}
	}
	for _, s := range sections {
		if named := slices.Contains(b.Sections, s.name); !named && (s.aside || len(b.Sections) > 0) {
			continue
		}
		fmt.Printf("\n== %s\n\n", s.name)
		markdown, err := s.measure(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Println(markdown)
		if err := writeSection(b.Report, s.name, markdown); err != nil {
			return err
		}
	}
	return nil
}

// postgres finds or fills a log on PostgreSQL.
func (b *bench) postgres(ctx context.Context, rows int) (benchdata.Kept, error) {
	progress, done := fillProgress("PostgreSQL", rows)
	defer done()
	return benchdata.KeepPostgres(ctx, b.Server, b.spec(rows), progress)
}

// sqlite finds or fills a log on SQLite.
func (b *bench) sqlite(ctx context.Context, rows int) (benchdata.Kept, error) {
	progress, done := fillProgress("SQLite", rows)
	defer done()
	return benchdata.KeepSQLite(ctx, b.Folder, b.spec(rows), progress)
}

func (b *bench) spec(rows int) benchdata.Spec {
	return benchdata.Spec{Rows: rows, Seed: 1, Until: b.until}
}
