package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/client"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
)

// recordCommand has no variables for the fields of an event: AUDITLOGS_URL and the like may be set for
// something else.
type recordCommand struct {
	databaseFlags
	maskFlags
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
	Metadata     string `placeholder:"JSON" env:"-" help:"A JSON object; @FILE reads it from a file, - from standard input."`
	URL          string `name:"url" placeholder:"URL" env:"-" help:"Where the affected resource is found."`
	ID           string `name:"id" placeholder:"ID" env:"-" help:"Key of the event: with the same one it is recorded once."`

	OccurredAt *string `placeholder:"TIME" env:"-" help:"When it happened, such as 2026-11-20T14:03:22Z (default: now)."` // empty is no time
}

func (c *recordCommand) Run(ctx context.Context, line *kong.Context, to streams) error {
	event, err := c.event(to.stdin)
	if err != nil {
		return err
	}
	var receipt audit.Receipt
	http, err := c.meansServer(line)
	switch {
	case err != nil:
		return err
	case http:
		receipt, err = c.overHTTP(ctx, to, event)
	default:
		receipt, err = c.inDatabase(ctx, to, event)
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

func (c *recordCommand) inDatabase(ctx context.Context, to streams, e audit.Event) (receipt audit.Receipt, err error) {
	err = c.withStore(ctx, to, func(store *models.Store) error {
		receipt, err = audit.Record(event.FromOutside(ctx), store.Writer(ctx), e)
		return recordingError(err)
	})
	return receipt, err
}

func (c *recordCommand) overHTTP(ctx context.Context, to streams, event audit.Event) (audit.Receipt, error) {
	client, err := client.New(client.Config{URL: c.Server, Key: c.Key, Log: c.log(to)})
	if err != nil {
		return audit.Receipt{}, err
	}
	receipt, err := client.Record(ctx, event)
	return receipt, errors.Join(recordingError(err), client.Close(ctx))
}

// recordingError returns one line that names the field for which the event was refused, or an unfinished
// error if the log could not be written.
func recordingError(err error) error {
	if err == nil {
		return nil
	}
	var refused *fault.Field
	if errors.As(err, &refused) {
		return refused
	}
	var answered *client.APIError
	if errors.As(err, &answered) && answered.Status >= 400 && answered.Status < 500 && !errors.Is(err, audit.ErrOutcomeUnknown) {
		return err // such as a key that is not known
	}
	return unfinished{err}
}

// meansServer reports whether a server is meant rather than a database. A flag wins over variables,
// which may be there for other commands.
func (c *recordCommand) meansServer(line *kong.Context) (bool, error) {
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

// event returns the event that the flags describe.
func (c *recordCommand) event(stdin io.Reader) (audit.Event, error) {
	e := audit.Event{
		ID: c.ID, Organization: c.Organization, Action: action.Action(c.Action),
		EntityType: c.EntityType, EntityID: c.EntityID, EntityName: c.EntityName, URL: c.URL,
		Actor: audit.Actor{ID: c.ActorID, Name: c.ActorName, Email: c.ActorEmail},
	}
	if c.System != "" {
		if e.Actor != (audit.Actor{}) {
			return e, errors.New("--system stands for an actor: leave out --actor-id, --actor-name and --actor-email")
		}
		e.Actor = audit.System(c.System)
	}
	if e.Actor.ID == "" {
		return e, errors.New("actor: is required: say who did it with --actor-id, or with --system for automated actions")
	}
	if c.OccurredAt != nil {
		var err error
		if e.OccurredAt, err = event.ParseTime("occurred_at", *c.OccurredAt); err != nil {
			return e, err
		}
	}
	metadata, err := c.metadata(stdin)
	if err != nil {
		return e, fmt.Errorf("metadata: %w", err)
	}
	if len(metadata) > 0 {
		e.Metadata = json.RawMessage(metadata)
	}
	return e, nil
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
