package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/handlers"
	"github.com/auditlogs/auditlogs/models"
)

// Operator is whoever can reach the database: the last resort where no admin can help. Errors of
// its methods are one line each.
type Operator struct {
	Database string    // where the log is kept
	BaseURL  string    // what links begin with
	Console  io.Writer // where links are shown
	Log      *slog.Logger
}

// ResetPassword shows a link with which the owner of the account sets a new password, once. That it
// was made is recorded in every organization of the account.
func (o Operator) ResetPassword(ctx context.Context, email string) error {
	return withStore(ctx, o.Database, o.Log, func(store *models.Store) error {
		user, err := store.UserByEmail(ctx, email)
		if errors.Is(err, models.ErrNotFound) {
			return fmt.Errorf("no account has the e-mail address %s", email)
		}
		if err != nil {
			return err
		}
		ctx := audit.WithActor(ctx, audit.System("reset-password"))
		access, err := store.AccessOf(ctx, user.ID)
		if err != nil {
			return err
		}
		var link string
		err = store.Transaction(ctx, func(tx *gorm.DB) (err error) {
			link, err = handlers.MakeOperatorResetLink(ctx, tx, o.base(), access, user)
			return err
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(o.Console, "With this link %s sets a new password, once, within %d hours:\n\n    %s\n",
			user.Email, int(models.PasswordResetLifetime.Hours()), link)
		return nil
	})
}

// Invite shows a link with which somebody joins an organization, once: how one that an application
// made gets its first admin. That it was made is recorded there.
func (o Operator) Invite(ctx context.Context, slug string, role models.Role) error {
	return withStore(ctx, o.Database, o.Log, func(store *models.Store) error {
		org, err := store.OrganizationBySlug(ctx, slug)
		if errors.Is(err, models.ErrNotFound) {
			return fmt.Errorf("no organization has the slug %s", slug)
		}
		if err != nil {
			return err
		}
		ctx := audit.WithActor(ctx, audit.System("invite"))
		var link string
		var invitation models.Invitation
		err = store.Transaction(ctx, func(tx *gorm.DB) (err error) {
			link, invitation, err = handlers.MakeInvitationLink(ctx, tx, o.base(), org, "", "", role)
			return err
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(o.Console, "Whoever uses this link first joins %s as %s, within %d days:\n\n    %s\n",
			org.Name, invitation.Role.WithArticle(), int(models.InvitationLifetime.Hours()/24), link)
		return nil
	})
}

func (o Operator) base() string { return strings.TrimRight(o.BaseURL, "/") }
