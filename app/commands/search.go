package commands

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers"
	"github.com/auditlogs/auditlogs/handlers/exchange"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

type searchCommand struct {
	databaseFlags
	Organization string `required:"" placeholder:"SLUG" help:"Whose log."`
	Limit        int    `default:"50" env:"-" help:"How many entries at most, newest first."`
	Format       string `enum:"lines,ndjson" default:"lines" env:"-" help:"What is printed of an entry: ${enum}."`
	Query        string `arg:"" optional:"" env:"-" help:"What to look for, in the language of the web app's search: 'actor:ada -action:deployment:* after:-7d'. Behind -- where it begins with -."`
}

// Run prints what a question finds.
func (c *searchCommand) Run(ctx context.Context, to streams) error {
	if c.Limit < 1 {
		return errors.New("--limit: must be 1 or more")
	}
	return c.withStore(ctx, to, func(store *models.Store) error {
		org, err := models.OrganizationByRef(ctx, store.Reader(ctx), models.OrganizationRef{Slug: c.Organization})
		if errors.Is(err, models.ErrNotFound) {
			return fmt.Errorf("no organization has the slug %q", c.Organization)
		}
		if err != nil {
			return err
		}
		log := entries.NewLog(store)
		query, err := c.question(ctx, log, org, store.Now())
		if err != nil {
			return err
		}
		out := bufio.NewWriter(to.stdout)
		printed := 0
		err = log.Each(ctx, org, query, func(found []models.Entry) error {
			for i := range found {
				if printed++; printed > c.Limit {
					return errEnough
				}
				if err := c.print(out, &found[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		return out.Flush()
	})
}

// errEnough ends the reading of entries at the limit.
var errEnough = errors.New("enough")

func (c *searchCommand) question(ctx context.Context, log *entries.Log, org models.Organization, now time.Time) (entries.Query, error) {
	var problem error
	reading := handlers.Reading{Zone: time.Local, Now: now, Actions: func() (actions []string) {
		kinds, err := log.Kinds(ctx, org)
		problem = err
		for _, kind := range kinds {
			actions = append(actions, kind.Action)
		}
		return actions
	}}
	filter, err := reading.Filter(url.Values{"q": {c.Query}}.Encode())
	var field *fault.Field
	if errors.As(err, &field) {
		return entries.Query{}, errors.New("the query " + field.Reason)
	}
	return filter.Query(), errors.Join(problem, err)
}

func (c *searchCommand) print(out io.Writer, e *models.Entry) error {
	if c.Format == "ndjson" {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(exchange.EntryOf(e))
	}
	cells := []string{e.OccurredAt.RFC3339(), e.Action, e.EntityType, e.EntityID, e.ActorName}
	if e.Outcome != "" && e.Outcome != "success" {
		cells[1] += " (" + string(e.Outcome) + ")"
	}
	for i, cell := range cells {
		if strings.ContainsFunc(cell, func(r rune) bool { return !unicode.IsPrint(r) }) {
			cells[i] = strconv.Quote(cell) // a terminal obeys what it cannot show
		}
	}
	_, err := fmt.Fprintln(out, strings.Join(cells, "\t"))
	return err
}
