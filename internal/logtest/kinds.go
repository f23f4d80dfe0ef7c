package logtest

import (
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
)

// Kinds returns an entry of each kind that a log may hold, by what it is: with all fields, with none, by each type of
// actor, of each outcome, and with texts that are hard to write.
func Kinds() map[string]models.Entry {
	at := models.MicrosOf(time.Date(2026, 6, 1, 9, 30, 15, 123_456_000, time.UTC))
	kind := func(e models.Entry) models.Entry {
		e.ID, e.OccurredAt, e.RecordedAt = models.NewEntryID(at), at, at+1_500_000
		if e.Action == "" {
			e.Action, e.EntityType, e.EntityID = "service:update", "service", "svc-42"
		}
		if e.ActorID == "" {
			e.ActorID, e.ActorName = "u-7", "Ada Lovelace"
		}
		return e
	}
	ada := &event.Principal{ID: "u-7", Name: "Ada Lovelace", Email: "ada@example.com", Session: "s-1"}
	related := []event.Resource{{Type: "subnet", ID: "sn-1", Name: "internal", Role: "network"}, {Type: "image", ID: "im-1"}}
	system := func(source string) models.Entry {
		return kind(models.Entry{ActorID: event.SystemID, ActorName: event.SystemID, Source: source})
	}
	return map[string]models.Entry{
		"all fields": kind(models.Entry{
			Action: "role:create", EntityType: "iam_role", EntityID: "arn:aws:iam::123456789012:role/web", EntityName: "web",
			ActorType: event.ActorAgent, ActorID: "bot-1", ActorName: "Deploy bot", ActorEmail: "bot@example.com", OnBehalfOf: ada,
			IP: "2001:db8::1", UserAgent: `Mozilla/5.0 (X11; "Linux"; <b>&amp;)`, RequestID: "req-1", APIKeyID: "key_1", APIKeyName: `Build "main"`,
			URL: "https://console.example.com/?a=1&b=2", Metadata: `{"n": 12345678901234567890.10, "a.b": {"": [1, null, "<b>\u2028"]}}`,
			Origin:   models.OriginRestore,
			Original: models.Original{Origin: models.OriginImport, RecordedAt: "2026-05-01T00:00:00.000000Z", APIKey: &models.OriginalAPIKey{ID: "key_0", Name: "<Old>"}}.Text(),
			Outcome:  event.OutcomeDenied, Reason: "not allowed", NativeAction: "iam:CreateRole", Related: related, Masked: 2,
		}),
		"no field":          kind(models.Entry{Action: "session:list", EntityType: "session"}),
		"a person":          kind(models.Entry{ActorID: "u-8", ActorName: "Grace @ work", ActorEmail: "grace.o'hopper+audit@mail.example.co.uk"}),
		"a person's ID":     kind(models.Entry{ActorID: "ada@example.com", ActorName: "ada@example.com"}),
		"another's name":    kind(models.Entry{ActorEmail: "zoë at example"}),
		"a service":         kind(models.Entry{ActorType: event.ActorService, ActorID: "ci", ActorName: "CI", ActorEmail: "ci@example.com"}),
		"a role":            kind(models.Entry{ActorType: event.ActorService, ActorID: "role/deploy", ActorName: "deploy", OnBehalfOf: ada}),
		"an agent":          kind(models.Entry{ActorType: event.ActorAgent, ActorID: "bot-1", ActorName: "Deploy bot"}),
		"for a service":     kind(models.Entry{ActorType: event.ActorAgent, ActorID: "bot-1", ActorName: "Deploy bot", OnBehalfOf: &event.Principal{Type: event.ActorService, ID: "ci", Name: "CI"}}),
		"an automation":     system("nightly-backup"),
		"the system":        system(""),
		"nobody":            kind(models.Entry{Action: "user:login_failed", EntityType: "user", ActorType: event.ActorAnonymous, ActorID: event.AnonymousID, ActorName: event.AnonymousID, Outcome: event.OutcomeFailure, Reason: "no such account"}),
		"a failure":         kind(models.Entry{Action: "invoice:delete", EntityType: "invoice", EntityID: "i-1", Outcome: event.OutcomeFailure}),
		"a denied attempt":  kind(models.Entry{Action: "audit_log:export", EntityType: "audit_log", EntityID: "acme", Outcome: event.OutcomeDenied}),
		"a success's why":   kind(models.Entry{Reason: "as planned"}),
		"a native name":     kind(models.Entry{Action: "protected_branch:rejected_ref_update", NativeAction: "protected_branch.rejected_ref_update", EntityType: "branch", EntityID: "refs/heads/main"}),
		"two names":         kind(models.Entry{Action: "service:update", NativeAction: "Microsoft.Web/sites/write", EntityType: "service", EntityID: "svc-42"}),
		"in words":          kind(models.Entry{Action: "event:login_failed", NativeAction: "Login failed", EntityType: "event"}),
		"related to others": kind(models.Entry{Action: "backup:start", EntityType: "backup", Related: related}),
		"a sign-in":         kind(models.Entry{Action: "user:sign_in", EntityType: "user", EntityID: "u-7", IP: "192.0.2.7"}),
		"a sign-out":        kind(models.Entry{Action: "user:sign_out", EntityType: "user", EntityID: "u-7", IP: "fe80::1%eth0"}),
		"no address":        kind(models.Entry{Action: "service:domain_add", EntityType: "service", EntityID: "svc-42", IP: "AWS Internal"}),
		"an import":         kind(models.Entry{Origin: models.OriginImport}),
		"hard to write": kind(models.Entry{EntityType: "service", Action: "service:delete", EntityID: `"a\b"/😀 =1`, EntityName: "Zoë's <b>\u202e\u2028", ActorName: "'; --",
			UserAgent: "\\\"", Metadata: "no JSON", URL: "https://example.com/%20?q=ü#x"}),
		"as long as can be": kind(models.Entry{
			Action: strings.Repeat("e", 50) + ":" + strings.Repeat("v", 49), NativeAction: strings.Repeat("ä", 100), EntityType: strings.Repeat("t", 100),
			EntityID: strings.Repeat("i", event.MaxEntityID), EntityName: strings.Repeat("n", event.MaxName), ActorID: strings.Repeat("a", event.MaxActorID),
			ActorName: strings.Repeat("n", event.MaxName), Reason: strings.Repeat("r", event.MaxReason), Outcome: event.OutcomeFailure,
			UserAgent: strings.Repeat("u", event.MaxUserAgent), RequestID: strings.Repeat("q", event.MaxRequestID),
			Metadata: strings.Repeat(`{"k":`, 31) + `{}` + strings.Repeat("}", 31),
		}),
	}
}
