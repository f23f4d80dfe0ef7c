// Package importer back-fills the log with a history that was kept elsewhere: a file of events, one
// JSON object a line, an NDJSON export of a log, or the audit log of another system. An export it can also
// put back as it was.
package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models"
)

// Config configures Run. Only Report is required.
type Config struct {
	Organization string    // the slug for lines that name no organization
	Size         int64     // of the history in bytes; 0 where it is not known
	Format       string    // one of Formats; "" is our own
	Columns      Columns   // of CSV
	Restore      bool      // put back what this log exported, instead of importing its events
	DryRun       bool      // check everything and store nothing
	Refused      io.Writer // gets the lines that are refused, as they are; may be nil
	Report       io.Writer // gets a line for each of them, and the progress
}

// Summary counts lines. Empty ones are not counted.
type Summary struct {
	Lines    int
	Imported int
	There    int // imported or recorded before
	Off      int // not stored: audit logging is off for their organization
	Refused  int
	Expired  int // of Refused: older than what their organization keeps
	Took     time.Duration
}

// pauseSQLite is left between two batches on SQLite, where only one transaction writes at a time.
// Whoever waits for its turn looks at least every 25 ms during the first 100, so a server on the same
// file goes on recording.
const pauseSQLite = 25 * time.Millisecond

// errDryRun undoes a batch.
var errDryRun = errors.New("dry run")

// Run imports the lines of history into store until the end, or until ctx ends or the database fails,
// and returns how far it came. It can be stopped at any moment and run again from the beginning: what has
// been imported is recognized.
func Run(ctx context.Context, store *models.Store, history io.Reader, config Config) (Summary, error) {
	began := time.Now()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	lines := newLineReader(history, config)
	go lines.read(ctx) // ends with ctx, or once a read under way returns
	i := importer{config: config, store: store, progress: newProgress(config.Report, config.Size)}
	err := i.run(ctx, lines.batches)
	if err == nil {
		err = lines.err // the channel is closed
	}
	i.progress.end()
	i.summary.Took = time.Since(began)
	return i.summary, err
}

type importer struct {
	config   Config
	store    *models.Store
	progress *progress
	summary  Summary
	headed   bool // the refused lines are, where they are CSV
}

func (i *importer) run(ctx context.Context, batches <-chan batch) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b, more := <-batches:
			if !more {
				return ctx.Err() // the reader ends with ctx, too
			}
			receipts, err := i.keep(ctx, b.lines)
			for database.IsBusy(err) {
				i.progress.say("the database is busy; waiting")
				receipts, err = i.keep(ctx, b.lines)
			}
			if err != nil {
				return errors.Join(ctx.Err(), err) // stopped in the middle of a statement, a database has words of its own
			}
			if i.config.Restore && i.summary.Lines == 0 {
				if err := noneHasAnOrganization(b.lines); err != nil {
					return err
				}
			}
			if err := i.count(b.lines, receipts); err != nil {
				return err
			}
			i.progress.at(b.end, i.summary.Lines)
			if i.store.Dialect() == "sqlite" {
				select {
				case <-time.After(pauseSQLite):
				case <-ctx.Done():
				}
			}
		}
	}
}

// noneHasAnOrganization returns the first line's refusal if all lines are refused for their organization:
// an export is of one, which must exist before anything can be put back.
func noneHasAnOrganization(lines []line) error {
	for _, l := range lines {
		if !errors.Is(l.err, event.ErrNoOrganization) {
			return nil
		}
	}
	return lines[0].err
}

// keep stores the lines that can be stored, in one transaction, and marks the others as refused.
func (i *importer) keep(ctx context.Context, lines []line) (receipts []event.Receipt, err error) {
	err = i.store.Transaction(ctx, func(tx *gorm.DB) error {
		receipts = nil // of an attempt that the database has given up
		for {
			var from []*line
			for n := range lines {
				if lines[n].err == nil {
					from = append(from, &lines[n])
				}
			}
			if len(from) == 0 {
				return nil
			}
			receipts, err = i.keepAll(ctx, tx, from)
			var refused *event.EventsError
			switch {
			case errors.As(err, &refused): // none was stored: once more without them
				for _, event := range refused.Events {
					from[event.Index].err = event.Err
				}
			case err == nil && i.config.DryRun:
				return errDryRun
			default:
				return err
			}
		}
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return receipts, err
}

// count adds up what became of lines; receipts are those of the lines that were not refused.
func (i *importer) count(lines []line, receipts []event.Receipt) error {
	s := &i.summary
	for _, l := range lines {
		s.Lines++
		if l.note != "" {
			i.progress.say("%s %d: %s", l.unit, l.number, l.note)
		}
		if l.err != nil {
			s.Refused++
			if errors.Is(l.err, event.ErrExpired) {
				s.Expired++
			}
			i.progress.say("%s %d: %s", l.unit, l.number, l.err)
			if i.config.Refused != nil && l.raw != nil {
				raw := l.raw
				if !i.headed {
					raw, i.headed = append(bytes.Clone(l.head), raw...), true
				}
				if !bytes.HasSuffix(raw, []byte("\n")) {
					raw = append(raw, '\n') // the last line of the history
				}
				if _, err := i.config.Refused.Write(raw); err != nil {
					return fmt.Errorf("write the refused lines: %w", err)
				}
			}
			continue
		}
		receipt := receipts[0]
		receipts = receipts[1:]
		switch {
		case !receipt.Stored:
			s.Off++
		case receipt.Repeated:
			s.There++
		default:
			s.Imported++
		}
	}
	return nil
}
