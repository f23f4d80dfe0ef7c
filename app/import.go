package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/auditlogs/auditlogs/app/importer"
	"github.com/auditlogs/auditlogs/models"
)

// Import back-fills the log with a history that was kept elsewhere.
type Import struct {
	Database     string
	File         string // of events, one JSON object a line; "-" is Stdin
	Organization string // for lines that name none
	Refused      string // the file that gets the lines which are refused; empty: none
	Restore      bool   // the file is an export of this log, which is put back as it was
	DryRun       bool   // check everything and store nothing
	Stdin        io.Reader
	Console      io.Writer // where the summary is shown
	Report       io.Writer // where every refused line is named, and the progress shown
	Log          *slog.Logger
}

// Run imports the file. Its error is one line: Unfinished where the import broke off.
func (i Import) Run(ctx context.Context) error {
	config := importer.Config{Organization: i.Organization, Restore: i.Restore, DryRun: i.DryRun, Report: i.Report}
	history := i.Stdin
	file, _ := i.Stdin.(*os.File) // where it is one
	if i.File != "-" {
		var err error
		if file, err = os.Open(i.File); err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		if info.IsDir() {
			return fmt.Errorf("%s is a folder", i.File)
		}
		history, config.Size = file, info.Size()
	}
	return withExistingStore(ctx, i.Database, i.Log, func(store *models.Store) (err error) {
		if i.Refused != "" {
			refused, err := createBeside(i.Refused, file)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, refused.Close()) }()
			config.Refused = refused
		}
		summary, err := importer.Run(ctx, store, history, config)
		fmt.Fprintln(i.Console, i.describe(summary))
		switch {
		case errors.Is(err, context.Canceled):
			return Unfinished{errors.New("stopped; " + startAgain)}
		case err != nil:
			return Unfinished{fmt.Errorf("broke off: %w; %s", err, startAgain)}
		case summary.Refused > 0:
			return fmt.Errorf("%s refused", importer.Lines(summary.Refused))
		}
		return nil
	})
}

const startAgain = "start the same command again: what has been imported stays as it is"

// createBeside makes an empty file that is not the one being read.
func createBeside(path string, reading *os.File) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && reading != nil {
		if own, err := reading.Stat(); err == nil && own.Mode().IsRegular() && os.SameFile(info, own) {
			return nil, fmt.Errorf("--refused %s is the file that is imported", path)
		}
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

func (i Import) describe(s importer.Summary) string {
	done, ahead := " imported", " to import"
	if i.Restore {
		done, ahead = " restored", " to restore"
	}
	if i.DryRun {
		done = ahead
	}
	parts := []string{importer.Number(s.Imported) + done}
	for _, part := range []struct {
		n    int
		text string
	}{
		{s.There, "there already"},
		{s.Off, "not stored, as audit logging is off"},
		{s.Refused, "refused"},
	} {
		if part.n > 0 {
			parts = append(parts, importer.Number(part.n)+" "+part.text)
		}
	}
	text := fmt.Sprintf("%s in %.1f s: %s", importer.Lines(s.Lines), s.Took.Seconds(), strings.Join(parts, ", "))
	if s.Expired > 0 {
		text += fmt.Sprintf(" (%s of them older than the organization keeps)", importer.Number(s.Expired))
	}
	return text + "."
}
