package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

type organizationsCommand struct {
	databaseFlags
	WithoutMembers bool `help:"Only open ones that nobody belongs to: applications made them by recording."`
	JSON           bool `name:"json" help:"One JSON object a line."`
}

// listedOrganization is an organization as a line of the list.
type listedOrganization struct {
	Slug       string `json:"slug"`
	ExternalID string `json:"external_id"`
	Name       string `json:"name"`
	Members    int    `json:"members"`
	Closed     bool   `json:"closed"`
}

// Run lists the organizations by slug: with a header, in aligned columns, or as JSON.
func (c *organizationsCommand) Run(ctx context.Context, to streams) error {
	return c.withStore(ctx, to, func(store *models.Store) error {
		all, err := accounts.NewStore(store).Organizations(ctx)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(to.stdout, 0, 0, 3, ' ', 0)
		line := func(o listedOrganization) error {
			state := strconv.Itoa(o.Members)
			if o.Closed {
				state += ", closed"
			}
			_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", o.Slug, o.ExternalID, o.Name, state)
			return err
		}
		if c.JSON {
			encoder := json.NewEncoder(to.stdout)
			encoder.SetEscapeHTML(false)
			line = func(o listedOrganization) error { return encoder.Encode(o) }
		} else {
			fmt.Fprintln(table, "SLUG\tEXTERNAL ID\tNAME\tMEMBERS")
		}
		for _, o := range all {
			if c.WithoutMembers && (o.Members > 0 || o.Closed()) {
				continue
			}
			listed := listedOrganization{Slug: o.Slug, Name: o.Name, Members: o.Members, Closed: o.Closed()}
			if o.ExternalID != nil {
				listed.ExternalID = *o.ExternalID
			}
			if err := line(listed); err != nil {
				return err
			}
		}
		return table.Flush()
	})
}
