package handlers_test

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
)

func TestTheQuestionIsCompleted(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme := p.organization("acme", ada)
		logtest.Insert(t, p.Store, acme,
			models.Entry{Action: "service:create", EntityType: "service", EntityID: "svc_1", EntityName: "Checkout api", IP: "192.0.2.1",
				ActorID: "u-7", ActorName: "Bob B", ActorEmail: "bob@example.com", Metadata: `{"userAgent":"stratus","changes":{"role":{"after":"admin"}}}`},
			models.Entry{Action: "service:update", EntityType: "service", EntityID: "svc_1", IP: "192.0.2.1", ActorID: "bot", ActorName: "Bot"},
			models.Entry{Action: "role:update", EntityType: "role", EntityID: "r*1", IP: "192.0.2.2", ActorID: "bot", ActorName: "Bot"},
		)
		admin := p.signedIn(ada)
		completions := func(text string) (got []string) {
			before, after, _ := strings.Cut(text, "|")
			page := admin.Fragment("/orgs/acme" + auditLogs + "/completions?" + url.Values{"q": {before + after}, "at": {strconv.Itoa(len([]rune(before)))}}.Encode()).Expect(200)
			page.Find("[role=option]").Each(func(_ int, option *goquery.Selection) {
				text := []rune(option.AttrOr("data-text", ""))
				at, err := strconv.Atoi(option.AttrOr("data-at", ""))
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(text[:at])+"|"+string(text[at:]))
			})
			return got
		}
		for text, want := range map[string][]string{
			"web ac|":                   {"web action:|", "web actor:|"},
			"-ty| web":                  {"-type:| web"},
			"zzz|":                      nil,
			"action:serv|":              {"action:service:* |", "action:service:create |", "action:service:update |"},
			"ü action:role|":            {"ü action:role:update |"},
			"type:|":                    {"type:role |", "type:service |", "type:user |"},
			"actor:BOB|":                {"actor:bob@example.com |"},
			"actor:bot|":                {"actor:bot |"},
			"hours:sat|":                {"hours:sat-sun/0-24 |"},
			"outcome:fail|":             {"outcome:failure |"},
			"ip:192|":                   {"ip:192.0.2.1 |", "ip:192.0.2.2 |"},
			"id:r*|":                    {`id:r\*1 |`},
			`name:"check|`:              {`name:"Checkout api" |`},
			"meta.|":                    {"meta.changes.|", "meta.userAgent:|"},
			"meta.changes.role.a|":      {"meta.changes.role.after:|"},
			"meta.changes.role.after:|": {"meta.changes.role.after:admin |"},
			"meta:str|":                 {"meta:stratus |"},
		} {
			if got := completions(text); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", text, got, want)
			}
		}
		if got := completions("|"); len(got) != 8 || got[0] != "action:|" {
			t.Errorf("nothing typed: %q", got)
		}
		for _, bad := range []string{"?at=-5&q=ac", "?at=99999&q=ac", "?at=x&q=ac", "?q="} {
			admin.Fragment("/orgs/acme" + auditLogs + "/completions" + bad).Expect(200)
		}
		admin.Fragment("/orgs/acme" + auditLogs + "/completions?q=" + strings.Repeat("a", 1001)).Expect(400)
	})
}
