package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/handlers"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

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
	Role       string `enum:"admin,auditor,member" default:"admin" help:"What they may do there: ${enum} (default: ${default})."`
	Slug       string `arg:"" optional:"" help:"Slug of the organization."`
	ExternalID string `placeholder:"ID" env:"-" help:"The application's own ID of the organization, in place of its slug."`
}

// Run prints a link with which the owner of the account sets a new password, once, and records that in
// every organization of the account.
func (c *resetCommand) Run(ctx context.Context, to streams) error {
	return c.withStore(ctx, to, func(store *models.Store) error {
		people := accounts.NewStore(store)
		user, err := people.UserByEmail(ctx, c.Email)
		if errors.Is(err, models.ErrNotFound) {
			return fmt.Errorf("no account has the e-mail address %s", c.Email)
		}
		if err != nil {
			return err
		}
		ctx := audit.WithActor(ctx, audit.System("reset-password"))
		access, err := people.AccessOf(ctx, user.ID)
		if err != nil {
			return err
		}
		var link string
		err = store.Transaction(ctx, func(tx *gorm.DB) (err error) {
			link, err = handlers.MakeOperatorResetLink(ctx, tx, c.base(), access, user)
			return err
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(to.stdout, "With this link %s sets a new password, once, within %d hours:\n\n    %s\n",
			user.Email, int(accounts.PasswordResetLifetime.Hours()), link)
		return nil
	})
}

// Run prints a link with which somebody joins an organization, once, and records that there. An
// organization that an application created gets its first admin this way.
func (c *inviteCommand) Run(ctx context.Context, to streams) error {
	if (c.Slug == "") == (c.ExternalID == "") {
		return errors.New("invite: name the organization by its slug, or by --external-id ID")
	}
	return c.withStore(ctx, to, func(store *models.Store) error {
		org, err := models.OrganizationByRef(ctx, store.Reader(ctx), models.OrganizationRef{Slug: c.Slug, ExternalID: c.ExternalID})
		switch {
		case errors.Is(err, models.ErrNotFound) && c.ExternalID != "":
			return fmt.Errorf("no organization has the external ID %s: auditlogs organizations lists them", c.ExternalID)
		case errors.Is(err, models.ErrNotFound):
			return fmt.Errorf("no organization has the slug %s: auditlogs organizations lists them", c.Slug)
		}
		if err != nil {
			return err
		}
		ctx := audit.WithActor(ctx, audit.System("invite"))
		var link string
		var invitation accounts.Invitation
		err = store.Transaction(ctx, func(tx *gorm.DB) (err error) {
			link, invitation, err = handlers.MakeInvitationLink(ctx, tx, c.base(), org, "", "", accounts.Role(c.Role))
			return err
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(to.stdout, "Whoever uses this link first joins %s as %s, within %d days:\n\n    %s\n",
			org.Name, invitation.Role.WithArticle(), int(accounts.InvitationLifetime.Hours()/24), link)
		return nil
	})
}

func (f *linkFlags) base() string { return strings.TrimRight(f.BaseURL, "/") }
