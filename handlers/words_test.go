package handlers_test

import (
	"strings"
	"testing"
)

// The pages speak as one would to a customer.
func TestWordsACustomerWouldUse(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("acme", ada)
		client := p.signedIn(ada)
		const settings = "/orgs/acme/settings"
		for _, test := range []struct{ path, selector, want string }{
			{settings + "/audit-logs", "#range legend", "Custom range"},
			{settings + "/audit-logs?from=2026-05-01", "#range summary", "Custom range"},
			{settings + "/audit-logs?from=yesterday", "#problem", "This address has a mistake in it."},
			{settings + "/api-keys", "form .button.primary", "Create key"},
			{settings + "/members", "form .button.primary", "Create invitation link"},
			{"/orgs/nobody/settings/audit-logs", ".failure", "This page does not exist, or you do not have access to it."},
			{"/orgs/acme/resources/service?id=svc_9", ".message", "No history for this service"},
			{"/orgs/acme/resources/service", ".failure", "“id” is missing"},
		} {
			if got := client.Get(test.path).Text(test.selector); !strings.Contains(got, test.want) {
				t.Errorf("%s says %q, want %q", test.path, got, test.want)
			}
		}
		if got := client.Fragment(settings + "/audit-logs/actors?text=zebra").Text("li"); !strings.Contains(got, "No user matches “zebra”.") {
			t.Errorf("the User menu says %q", got)
		}
		for _, path := range []string{settings, settings + "/audit-logs", settings + "/organization", settings + "/members",
			settings + "/api-keys", settings + "/integrations", "/account", "/orgs/new", "/login"} {
			words := client.Get(path).Text("main")
			for _, stiff := range []string{"Own range", "Make a", "Nobody like", "cannot be answered", "Not planned", "may see"} {
				if strings.Contains(words, stiff) {
					t.Errorf("%s says %q", path, stiff)
				}
			}
		}
	})
}
