package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers"
	"github.com/auditlogs/auditlogs/models"
)

// ResetPassword writes a link to console with which the owner of the account sets a new password,
// once: the operator's way in when no admin can help. The link begins with baseURL. That it was
// made is recorded in every organization of the account.
//
// Errors are one line for the operator.
func ResetPassword(ctx context.Context, baseURL, databaseURL, email string, log *slog.Logger, console io.Writer) (err error) {
	db, err := database.Open(ctx, databaseURL, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Migrate(ctx); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	store, err := db.Store(nil)
	if err != nil {
		return err
	}
	user, err := store.UserByEmail(ctx, email)
	if errors.Is(err, models.ErrNotFound) {
		return fmt.Errorf("no account has the e-mail address %s", email)
	}
	if err != nil {
		return err
	}
	ctx = audit.WithActor(ctx, audit.System("reset-password"))
	link, err := handlers.MakeResetLink(ctx, store, strings.TrimRight(baseURL, "/"), user)
	if err != nil {
		return err
	}
	fmt.Fprintf(console, "With this link %s sets a new password, once, within %d hours:\n\n    %s\n", user.Email, int(models.PasswordResetLifetime.Hours()), link)
	return nil
}
