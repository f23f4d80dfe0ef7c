package app

import (
	"github.com/auditlogs/auditlogs/models/accounts"
)

// routes is the table of everything the app answers, with the role each of it needs. What stands further up comes first: a page
// beside the organizations, such as /orgs/new, stands before them.
func (a *App) routes() {
	h, r := a.handlers, a.fiber

	r.Get("/healthz", a.health)
	r.Get("/readyz", a.ready)
	r.Get("/static/*", a.files.Serve)

	r.Use(a.waitForReaders)

	// What other services deliver, signed.
	r.Post("/webhooks/github/:connection", h.GitHubWebhook)

	// For programs, which have a key and no session.
	api := r.Group("/api")
	api.Get("/v1/openapi.yaml", h.APIDescription)
	api.Post("/v1/events", h.WithAPIKey(accounts.ScopeWrite), h.RecordEvents)
	api.Get("/v1/entries", h.WithAPIKey(accounts.ScopeRead), h.FairlyShared, h.ListEntries)
	api.Get("/v1/entries/:entry", h.WithAPIKey(accounts.ScopeRead), h.FairlyShared, h.ShowEntry)
	api.Get("/v1/actions", h.WithAPIKey(accounts.ScopeRead, accounts.ScopeWrite), h.FairlyShared, h.ListActions)
	api.Use(h.NoSuchEndpoint)

	// From here on it is known who asks.
	r.Use(h.WithScope, h.WithForm)
	r.Post("/preferences", h.Preferences)

	r.Get("/login", h.LoginPage)
	r.Post("/login", h.Login)
	r.Get("/logout", h.SignedIn, h.LogoutPage)
	r.Post("/logout", h.Logout)
	r.Get("/setup", h.SetupPage)
	r.Post("/setup", h.Setup)
	r.Get("/invitations/:token", h.InvitationPage)
	r.Post("/invitations/:token", h.AcceptInvitation)
	r.Get("/reset/:token", h.ResetPage)
	r.Post("/reset/:token", h.ResetPassword)

	// One's own account, whatever the organization.
	r.Get("/account", h.SignedIn, h.Account)
	r.Post("/account/password", h.SignedIn, h.ChangePassword)
	r.Post("/account/sessions/end", h.SignedIn, h.EndSession)
	r.Post("/account/sessions/end-others", h.SignedIn, h.EndOtherSessions)

	// To the organization last used.
	r.Get("/", h.SignedIn, h.Home)
	r.Get("/settings", h.SignedIn, h.SettingsHome)
	r.Get("/settings/audit-logs", h.SignedIn, h.LogHome)
	r.Get("/orgs/new", h.SignedIn, h.NewOrganizationPage)
	r.Post("/orgs/new", h.SignedIn, h.NewOrganization)

	// With bounds of its own: who follows the log takes no turn from who reads it.
	r.Get("/orgs/:slug/settings/audit-logs/live", h.SignedIn, h.InOrganization, h.AuditLogLive)

	// Everything of one organization, for its members; what says so for admins, or auditors and admins, only.
	org := r.Group("/orgs/:slug", h.SignedIn, h.InOrganization, h.FairlyShared)
	org.Get("/settings/audit-logs", h.AuditLog)
	org.Get("/settings/audit-logs/export", h.Export) // these before the entries, whose IDs they cannot be
	org.Get("/settings/audit-logs/actors", h.AuditLogActors)
	org.Get("/settings/audit-logs/counts", h.AuditLogCounts)
	org.Get("/settings/audit-logs/facets", h.AuditLogFacets)
	org.Get("/settings/audit-logs/completions", h.AuditLogCompletions)
	org.Get("/settings/audit-logs/new", h.AuditLogNew)
	org.Get("/settings/audit-logs/views", h.AuditLogViews)
	org.Post("/settings/audit-logs/views", h.CreateView)
	org.Post("/settings/audit-logs/views/default", h.SetDefaultView) // one's own, whatever the role
	org.Get("/settings/audit-logs/views/:view", h.ShowView)
	org.Post("/settings/audit-logs/views/:view", h.RenameView) // shared ones are the admins'
	org.Post("/settings/audit-logs/views/:view/query", h.ReplaceView)
	org.Post("/settings/audit-logs/views/:view/remove", h.RemoveView)
	org.Get("/settings/audit-logs/:entry", h.Entry)
	org.Get("/resources/:entity_type", h.History)
	org.Get("/actors", h.ActorHistory)

	org.Get("/settings", h.SettingsOverview)
	org.Get("/settings/organization", h.OrganizationSettings)
	org.Post("/settings/organization", h.Admin, h.RenameOrganization)
	org.Get("/settings/audit", h.AuditSettings)
	org.Post("/settings/audit", h.Admin, h.SaveAuditSettings)
	org.Post("/settings/audit/undo", h.Admin, h.UndoRetention)
	org.Post("/settings/links", h.Admin, h.SaveResourceLink)
	org.Post("/settings/links/remove", h.Admin, h.RemoveResourceLink)
	org.Post("/settings/delete", h.Admin, h.DeleteOrganization)

	org.Get("/settings/members", h.Members)
	org.Post("/settings/members/invitations", h.Admin, h.Invite)
	org.Post("/settings/members/invitations/revoke", h.Admin, h.RevokeInvitation)
	org.Post("/settings/members/reset-links/revoke", h.Admin, h.RevokeResetLink)
	org.Post("/settings/members/restrictions", h.Admin, h.SaveRestriction)
	org.Post("/settings/members/:user/role", h.Admin, h.ChangeRole)
	org.Post("/settings/members/:user/remove", h.AdminOrSelf, h.RemoveMember)
	org.Post("/settings/members/:user/reset-link", h.Admin, h.MemberResetLink)

	org.Get("/settings/access-log", h.Auditor, h.AccessLog)

	org.Get("/settings/integrations", h.Integrations)
	org.Post("/settings/integrations/github", h.Admin, h.ConnectGitHub)
	org.Post("/settings/integrations/github/secret", h.Admin, h.ReplaceGitHubSecret)
	org.Post("/settings/integrations/github/disconnect", h.Admin, h.DisconnectGitHub)

	org.Get("/settings/api-keys", h.APIKeys)
	org.Post("/settings/api-keys", h.Admin, h.CreateAPIKey)
	org.Get("/settings/api-keys/:key/masking", h.APIKeyMasking)
	org.Post("/settings/api-keys/:key/masking", h.Admin, h.SaveAPIKeyMasking)
	org.Post("/settings/api-keys/:key/revoke", h.Admin, h.RevokeAPIKey)
}
