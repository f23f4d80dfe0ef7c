package app

// routes is the table of everything the app answers. What stands further up comes first: a page
// beside the organizations, such as /orgs/new, stands before them.
func (a *App) routes() {
	h, r := a.handlers, a.fiber

	r.Get("/healthz", a.health)
	r.Get("/static/*", a.assets.serve)

	// From here on it is known who asks.
	r.Use(h.WithScope)
	r.Post("/preferences", h.Preferences)

	// Everything of one organization, for its members.
	org := r.Group("/orgs/:slug", h.SignedIn, h.InOrganization)
	org.Get("/settings/audit-logs/:entry", h.Entry)
}
