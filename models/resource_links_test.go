package models

import (
	"errors"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

func TestCheckURLTemplate(t *testing.T) {
	for _, template := range []string{
		"https://console.example.com/services/{id}",
		"http://localhost:3000/{id}",
		"https://example.com/?id={id}",
		"https://example.com?id={id}&again={id}",
		"https://example.com/app#/services/{id}",
		"https://[::1]:8080/{id}",
	} {
		if err := CheckURLTemplate(template); err != nil {
			t.Errorf("%s is refused: %v", template, err)
		}
	}
	for _, template := range []string{
		"",
		"https://example.com/services",
		"https://example.com/{name}",
		"https://example.com/{id}/{",
		"javascript:alert({id})",
		"JavaScript://example.com/%0aalert({id})",
		"data:text/html,{id}",
		"//example.com/{id}",
		"/services/{id}",
		"{id}",
		"https://{id}.example.com/",
		"https://example.com{id}/x",
		"https://{id}",
		"https:///services/{id}",
		"https://:8080/{id}",
		"https://user:secret@example.com/{id}",
		"https://example.com\\{id}",
		"https://example.com/a b/{id}",
		"https://example.com/\n{id}",
		"https://example.com/%zz/{id}",
		"https://example.com/\xff/{id}",
		"ftp://example.com/{id}",
		"https://example.com/{id}" + strings.Repeat("x", MaxURLTemplateLength),
	} {
		var invalid *fault.Field
		if err := CheckURLTemplate(template); !errors.As(err, &invalid) || invalid.Field != "url_template" {
			t.Errorf("%.60q gives %v, want an invalid url_template", template, err)
		}
	}
}

func TestResourceURL(t *testing.T) {
	links := ResourceLinks{
		"service":  "https://console.example.com/services/{id}",
		"project":  "https://example.com/find?q={id}&kind=project",
		"workflow": "https://example.com/app#/workflows/{id}/runs",
		"team":     "https://example.com/~{id}",
	}
	for _, test := range []struct {
		name  string
		entry Entry
		want  string
	}{
		{"own URL first", Entry{EntityType: "service", EntityID: "a", URL: "https://own.example.com/a"}, "https://own.example.com/a"},
		{"template", Entry{EntityType: "service", EntityID: "svc_1"}, "https://console.example.com/services/svc_1"},
		{"neither", Entry{EntityType: "invoice", EntityID: "1"}, ""},
		{"an own URL that is no web address is not followed", Entry{EntityType: "service", EntityID: "a", URL: "javascript:alert(1)"}, "https://console.example.com/services/a"},
		{"nor one that signs somebody in", Entry{EntityType: "service", EntityID: "a", URL: "https://bank.example.com@evil.example.net/"}, "https://console.example.com/services/a"},
		{"path", Entry{EntityType: "service", EntityID: "a/b?c#d e%2f"}, "https://console.example.com/services/a%2Fb%3Fc%23d%20e%252f"},
		{"query", Entry{EntityType: "project", EntityID: "a&b=c d+e"}, "https://example.com/find?q=a%26b%3Dc+d%2Be&kind=project"},
		{"fragment", Entry{EntityType: "workflow", EntityID: "a/b#c"}, "https://example.com/app#/workflows/a%2Fb%23c/runs"},
		{"placeholder as an ID", Entry{EntityType: "service", EntityID: "{id}"}, "https://console.example.com/services/%7Bid%7D"},
		{"dots would leave the path", Entry{EntityType: "service", EntityID: ".."}, ""},
		{"dots inside a segment are an ID", Entry{EntityType: "team", EntityID: ".."}, "https://example.com/~.."},
		{"beyond ASCII", Entry{EntityType: "service", EntityID: "ä"}, "https://console.example.com/services/%C3%A4"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := ResourceURL(test.entry, links); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
