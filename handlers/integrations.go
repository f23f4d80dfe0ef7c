package handlers

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// githubName is how entries about the connection name it.
const githubName = "GitHub"

// integrationsPage shows where deliveries of other services arrive.
type integrationsPage struct {
	Frame   Frame
	GitHub  *accounts.GitHubConnection // nil: not connected
	Secret  string                     // shown this once
	Address string                     // where GitHub delivers to
	Keyless bool                       // the operator gave no key, so secrets cannot be stored
	Problem string
	Notice  string // what the form sent before this page did

	Conflict *conflicts
}

// loadedConnection is how a form names the connection, and its secret, that it was loaded with.
func loadedConnection(connection accounts.GitHubConnection) string {
	return fmt.Sprintf("%s %d", connection.ID, connection.SecretSince)
}

// Loaded is the connection as the page shows it.
func (p integrationsPage) Loaded() string { return loadedConnection(*p.GitHub) }

// MaySet reports whether the reader may change the connections.
func (p integrationsPage) MaySet() bool { return p.Frame.Admin() && !p.Frame.Organization.Closed() }

// Path is the address below which forms change the connection to GitHub.
func (p integrationsPage) Path() string { return p.Frame.SettingsPath("integrations") + "/github" }

// Integrations handles GET /orgs/:slug/settings/integrations.
func (h *Handlers) Integrations(c *fiber.Ctx) error {
	return h.renderIntegrations(c, fiber.StatusOK, integrationsPage{})
}

func (h *Handlers) renderIntegrations(c *fiber.Ctx, status int, page integrationsPage) error {
	page.Frame = h.frame(c, "Integrations", "integrations")
	page.Notice = takeNotice(c)
	page.Keyless = h.Secrets == nil
	connection, err := h.Accounts.GitHubConnection(contextOf(c), page.Frame.Organization.ID)
	switch {
	case err == nil:
		page.GitHub, page.Address = &connection, h.BaseURL+webhookPath(connection.ID)
	case !errors.Is(err, models.ErrNotFound):
		return err
	}
	return h.render(c, status, "integrations/page", page)
}

// webhookPath is where deliveries for a connection arrive.
func webhookPath(connectionID string) string { return "/webhooks/github/" + connectionID }

// ConnectGitHub handles POST /orgs/:slug/settings/integrations/github: it makes the address that
// GitHub delivers to and shows its secret, once.
func (h *Handlers) ConnectGitHub(c *fiber.Ctx) error {
	scope := scopeOf(c)
	err := h.showGitHubSecret(c, func(ctx context.Context, tx *gorm.DB, seal func(string) []byte) error {
		connection, err := accounts.ConnectGitHub(ctx, tx, scope.Organization.ID, scope.User.ID, seal)
		if err != nil {
			return err
		}
		return recordGitHub(ctx, tx, scope.Organization, action.GitHubInstallationLink, connection, nil)
	})
	if errors.Is(err, models.ErrTaken) {
		return h.renderIntegrations(c, fiber.StatusUnprocessableEntity, integrationsPage{
			Problem: "GitHub is connected already. If the secret was lost, create a new one.",
		})
	}
	return err
}

// ReplaceGitHubSecret handles POST /orgs/:slug/settings/integrations/github/secret: with
// `confirm=yes` it replaces the secret at once and shows the new one, once; without it asks.
// `loaded_connection` is the connection that was shown with the question.
func (h *Handlers) ReplaceGitHubSecret(c *fiber.Ctx) error {
	if posted(c, "confirm") != "yes" {
		return h.askAboutGitHub(c, "New secret", "integrations/new-secret", nil)
	}
	scope := scopeOf(c)
	err := h.showGitHubSecret(c, func(ctx context.Context, tx *gorm.DB, seal func(string) []byte) error {
		if err := githubConflict(ctx, tx, scope.Organization.ID, loaded(c, "connection")); err != nil {
			return err
		}
		connection, err := accounts.ReplaceGitHubSecret(ctx, tx, scope.Organization.ID, seal)
		if err != nil {
			return err
		}
		return recordGitHub(ctx, tx, scope.Organization, action.GitHubInstallationUpdate, connection, []string{"secret"})
	})
	var conflict *conflictError
	if errors.As(err, &conflict) {
		return h.askAboutGitHub(c, "New secret", "integrations/new-secret", conflict)
	}
	return err
}

// githubConflict returns a *conflictError where the connection, or its secret, is not the one a form was
// loaded with any more.
func githubConflict(ctx context.Context, tx *gorm.DB, orgID int64, opened loadedValue) error {
	connection, err := accounts.LockGitHub(ctx, tx, orgID)
	switch {
	case errors.Is(err, models.ErrNotFound) && opened.says:
		return conflictOver(ctx, tx, orgID, accounts.SettingGitHub, "The connection", "")
	case err != nil:
		return err
	case !opened.conflicts(loadedConnection(connection), ""):
		return nil
	case strings.HasPrefix(opened.value, connection.ID+" "):
		return conflictOver(ctx, tx, orgID, accounts.SettingGitHub, "The secret", "a new one")
	default:
		return conflictOver(ctx, tx, orgID, accounts.SettingGitHub, "The connection", "another one")
	}
}

// DisconnectGitHub handles POST /orgs/:slug/settings/integrations/github/disconnect: with
// `confirm=yes` it ends the connection; without it asks. `loaded_connection` is as for the secret.
func (h *Handlers) DisconnectGitHub(c *fiber.Ctx) error {
	if posted(c, "confirm") != "yes" {
		return h.askAboutGitHub(c, "Disconnect GitHub", "integrations/disconnect", nil)
	}
	scope := scopeOf(c)
	err := h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) error {
		if err := githubConflict(ctx, tx, scope.Organization.ID, loaded(c, "connection")); err != nil {
			return err
		}
		connection, err := accounts.DisconnectGitHub(ctx, tx, scope.Organization.ID)
		if err != nil {
			return err
		}
		return recordGitHub(ctx, tx, scope.Organization, action.GitHubInstallationUnlink, connection, nil)
	})
	var conflict *conflictError
	if errors.As(err, &conflict) {
		return h.askAboutGitHub(c, "Disconnect GitHub", "integrations/disconnect", conflict)
	}
	if err != nil {
		return err
	}
	leaveNotice(c, "GitHub was disconnected. Its deliveries are now refused.")
	return redirect(c, settingsPath(scope.Organization, "integrations"))
}

// showGitHubSecret makes a secret, runs store, which keeps it encrypted, as an admin, and shows it.
func (h *Handlers) showGitHubSecret(c *fiber.Ctx, store func(ctx context.Context, tx *gorm.DB, seal func(purpose string) []byte) error) error {
	if h.Secrets == nil { // the page says what the operator must do
		return h.renderIntegrations(c, fiber.StatusUnprocessableEntity, integrationsPage{})
	}
	secret := accounts.NewGitHubSecret()
	err := h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) error {
		return store(ctx, tx, func(purpose string) []byte { return h.Secrets.Seal(purpose, []byte(secret)) })
	})
	if err != nil {
		return err
	}
	return h.renderIntegrations(c, fiber.StatusOK, integrationsPage{Secret: secret})
}

// askAboutGitHub asks before the connection changes, once more where it has changed since.
func (h *Handlers) askAboutGitHub(c *fiber.Ctx, title, template string, conflict *conflictError) error {
	page, status := integrationsPage{Frame: h.frame(c, title, "integrations")}, fiber.StatusOK
	if conflict != nil {
		status = fiber.StatusConflict
		page.Conflict = conflict.shown("Confirm again to go ahead anyway.", page.Frame.Location)
	}
	connection, err := h.Accounts.GitHubConnection(contextOf(c), page.Frame.Organization.ID)
	if conflict != nil && errors.Is(err, models.ErrNotFound) {
		page.Conflict.Again = ""
		return h.renderIntegrations(c, status, page)
	}
	if err != nil {
		return err
	}
	page.GitHub = &connection
	return h.render(c, status, template, page)
}

// recordGitHub records what was done with the connection. Its secret is never part of that.
func recordGitHub(ctx context.Context, tx *gorm.DB, org models.Organization, action action.Action, connection accounts.GitHubConnection, changed []string) error {
	event := audit.Event{
		Organization: org.Slug,
		Action:       action,
		EntityID:     connection.ID,
		EntityName:   githubName,
	}
	if changed != nil {
		event.Metadata = map[string]any{"changed_fields": changed}
	}
	if err := noteChange(ctx, tx, org.ID, accounts.SettingGitHub); err != nil {
		return err
	}
	_, err := audit.Record(ctx, tx, event)
	return err
}
