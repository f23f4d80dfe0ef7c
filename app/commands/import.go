package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/importer"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/views"
)

type importCommand struct {
	databaseFlags
	maskFlags
	Organization string            `placeholder:"SLUG" help:"Organization of the lines that name none."`
	Format       string            `default:"auditlogs" enum:"${formats}" env:"-" placeholder:"NAME" help:"How the file is written: ${formats}."`
	Map          string            `placeholder:"FILE" env:"-" help:"For csv: which column is which field of an event, as a JSON object."`
	Column       map[string]string `placeholder:"FIELD=HEADING" mapsep:"none" env:"-" help:"For csv: the column of one field, such as occurred_at=When; may be repeated."`
	Refused      string            `placeholder:"FILE" env:"-" help:"File that gets the lines which are refused, to be mended and imported."`
	Restore      bool              `env:"-" help:"Put back an NDJSON export of this log: every entry as it was, the app's own included."`
	DryRun       bool              `env:"-" help:"Check everything and store nothing."`
	File         string            `arg:"" help:"File to import; - for standard input."`
}

// Run imports the file. Its error is one line: unfinished where the import broke off.
func (c *importCommand) Run(ctx context.Context, to streams) error {
	config := importer.Config{Organization: c.Organization, Format: cmp.Or(c.Format, importer.Own), Restore: c.Restore, DryRun: c.DryRun, Report: to.stderr}
	if err := c.readColumns(&config); err != nil {
		return err
	}
	history := to.stdin
	file, _ := to.stdin.(*os.File) // where it is one
	if c.File != "-" {
		var err error
		if file, err = os.Open(c.File); err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		if info.IsDir() {
			return fmt.Errorf("%s is a folder", c.File)
		}
		history, config.Size = file, info.Size()
	}
	return c.withStore(ctx, to, func(store *models.Store) (err error) {
		if c.Refused != "" {
			refused, err := createBeside(c.Refused, file)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, refused.Close()) }()
			config.Refused = refused
		}
		summary, err := importer.Run(ctx, store, history, config)
		if errors.Is(err, event.ErrNoOrganization) {
			return fmt.Errorf("%w: create the organization first, under the slug that the file names", err)
		}
		fmt.Fprintln(to.stdout, c.describe(summary))
		switch {
		case errors.Is(err, context.Canceled):
			return unfinished{errors.New("stopped; " + startAgain)}
		case err != nil:
			return unfinished{fmt.Errorf("broke off: %w; %s", err, startAgain)}
		case summary.Refused > 0:
			return fmt.Errorf("%s refused", views.Count(summary.Refused, "line", "lines"))
		}
		return nil
	})
}

// readColumns checks what goes with which format, and reads the columns of CSV.
func (c *importCommand) readColumns(config *importer.Config) error {
	switch given := c.Map != "" || len(c.Column) > 0; {
	case c.Restore && config.Format != importer.Own:
		return errors.New("--restore puts back an export of this log: it goes with no other --format")
	case given && config.Format != importer.CSV:
		return errors.New("--map and --column go with --format csv")
	case !given && config.Format == importer.CSV:
		return errors.New("--format csv needs --map FILE or --column FIELD=HEADING, which say what the columns are")
	case config.Format != importer.CSV:
		return nil
	}
	config.Columns = importer.Columns{}
	if c.Map != "" {
		file, err := os.Open(c.Map)
		if err != nil {
			return err
		}
		defer file.Close()
		if config.Columns, err = importer.ReadColumns(file); err != nil {
			return fmt.Errorf("%s: %w", c.Map, err)
		}
	}
	for field, heading := range c.Column {
		config.Columns[field] = importer.Column{Column: heading}
	}
	return config.Columns.Check()
}

const startAgain = "start the same command again: what has been imported stays as it is"

// createBeside creates or empties a file, unless it is the one being read.
func createBeside(path string, reading *os.File) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && reading != nil {
		if own, err := reading.Stat(); err == nil && own.Mode().IsRegular() && os.SameFile(info, own) {
			return nil, fmt.Errorf("--refused %s is the file that is imported", path)
		}
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

func (c *importCommand) describe(s importer.Summary) string {
	done, ahead := " imported", " to import"
	if c.Restore {
		done, ahead = " restored", " to restore"
	}
	if c.DryRun {
		done = ahead
	}
	parts := []string{views.Number(s.Imported) + done}
	for _, part := range []struct {
		n    int
		text string
	}{
		{s.There, "there already"},
		{s.Off, "not stored, as audit logging is off"},
		{s.Refused, "refused"},
	} {
		if part.n > 0 {
			parts = append(parts, views.Number(part.n)+" "+part.text)
		}
	}
	text := fmt.Sprintf("%s in %.1f s: %s", views.Count(s.Lines, "line", "lines"), s.Took.Seconds(), strings.Join(parts, ", "))
	if s.Expired > 0 {
		text += fmt.Sprintf(" (%s of them older than the organization keeps)", views.Number(s.Expired))
	}
	return text + "."
}
