package handlers

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/template/html/v2"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/views"
)

// testViews is the engine pages are rendered with.
func testViews(t *testing.T) *html.Engine {
	t.Helper()
	engine, err := views.Load()
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// renderRow renders the row that opens under an entry and reads it as a browser would, in a table.
func renderRow(t *testing.T, entry models.Entry) (row *goquery.Selection, source string) {
	t.Helper()
	page := entryPage{Span: 5, Entry: viewEntry("https://audit.example.com", models.Organization{Slug: "acme"}, entry, nil, wholeLog(time.UTC), time.UTC)}
	var out bytes.Buffer
	if err := testViews(t).Render(&out, "entry/row", page); err != nil {
		t.Fatal(err)
	}
	document, err := goquery.NewDocumentFromReader(strings.NewReader("<table><tbody>" + out.String() + "</tbody></table>"))
	if err != nil {
		t.Fatal(err)
	}
	return document.Find("body > table > tbody").Children(), out.String()
}

func sampleEntry() models.Entry {
	at := models.MicrosOf(time.Date(2025, 11, 20, 14, 3, 22, 0, time.UTC))
	return models.Entry{
		ID: models.NewEntryID(at), OccurredAt: at, RecordedAt: at, Action: "service:update", EntityType: "service", EntityID: "srv_1",
		EntityName: "api", ActorID: "usr_1", ActorName: "Ada", ActorEmail: "ada@example.com",
	}
}

func TestAnOpenedRowIsOneRow(t *testing.T) {
	row, source := renderRow(t, sampleEntry())
	if row.Length() != 1 || goquery.NodeName(row) != "tr" || !row.HasClass("entry-detail") {
		t.Fatalf("the fragment is not one tr.entry-detail: %s", source)
	}
	if trimmed := strings.TrimSpace(source); !strings.HasPrefix(trimmed, "<tr ") || !strings.HasSuffix(trimmed, "</tr>") {
		t.Errorf("something stands around the row: %s", source)
	}
	if span := row.ChildrenFiltered("td").AttrOr("colspan", ""); span != "5" {
		t.Errorf("its cell spans %q columns", span)
	}
}

func TestHowAnEntryCameIntoTheLog(t *testing.T) {
	entry := sampleEntry()
	facts := func() string {
		t.Helper()
		row, _ := renderRow(t, entry)
		return strings.Join(strings.Fields(row.Find("dl.entry-facts").Text()), " ")
	}
	if said := facts(); strings.Contains(said, "Imported") || strings.Contains(said, "Restored") || strings.Contains(said, "Originally") {
		t.Errorf("one recorded here says %s", said)
	}
	entry.RecordedAt += models.Micros((72 * time.Hour).Microseconds())
	entry.Origin = models.OriginImport
	if said := facts(); !strings.Contains(said, "Imported Sun, Nov 23, 2025, 14:03:22 UTC Entry ID") || strings.Contains(said, "later") {
		t.Errorf("an imported one says %s", said)
	}
	entry.Original = models.Original{RecordedAt: "2025-11-20T14:03:23.000000Z", APIKey: &models.OriginalAPIKey{ID: "key_0", Name: "Old"}}.Text()
	if said := facts(); !strings.Contains(said, "Originally recorded Thu, Nov 20, 2025, 14:03:23 UTC with API key Old key_0 as the imported file says") ||
		strings.Contains(said, "Via") {
		t.Errorf("one imported from an export says %s", said)
	}
	entry.Origin, entry.Original = models.OriginRestore, ""
	entry.APIKeyID, entry.APIKeyName = "key_1", "Build"
	if said := facts(); !strings.Contains(said, "Restored from an export") || !strings.Contains(said, "recorded 3 days later") || !strings.Contains(said, "Via API key Build key_1") {
		t.Errorf("a restored one says %s", said)
	}
	entry.Original = "nonsense"
	if said := facts(); strings.Contains(said, "Originally") || strings.Contains(said, "nonsense") {
		t.Errorf("one whose original cannot be read says %s", said)
	}
}

func TestWhichKeyAnEntryCameWith(t *testing.T) {
	entry := sampleEntry()
	row, _ := renderRow(t, entry)
	if strings.Contains(row.Text(), "API key") {
		t.Error("an entry without a key names one")
	}
	entry.APIKeyID, entry.APIKeyName = "key_1", "Build server"
	row, _ = renderRow(t, entry)
	via := row.Find("dt:contains(Via) + dd")
	if said := text(via); said != "API key Build server key_1" {
		t.Errorf("it came via %q", said)
	}
	if href := via.Find("a").AttrOr("href", ""); href != "/orgs/acme/settings/audit-logs?api_key=key_1" {
		t.Errorf("the key leads to %s", href)
	}
}

func TestHostileEntriesAreShownAsText(t *testing.T) {
	const attack = `"><script>alert(1)</script><img src=x onerror=alert(2)><style>*{display:none}</style></td></tr></table>{{.}}`
	metadata, err := json.Marshal(map[string]any{
		attack:      attack,
		"changes":   map[string]any{attack: map[string]any{"before": attack, "after": []string{attack}}},
		"deep":      map[string]any{attack: []any{attack, map[string]any{attack: nil}}},
		"very_long": strings.Repeat("x", 200_000),
	})
	if err != nil {
		t.Fatal(err)
	}
	entry := sampleEntry()
	entry.EntityID, entry.EntityName, entry.ActorID, entry.ActorName, entry.ActorEmail = attack, attack, attack, attack, attack
	entry.IP, entry.UserAgent, entry.RequestID, entry.URL = attack, attack, attack, "javascript:alert(3)"
	entry.APIKeyID, entry.APIKeyName = attack, attack
	entry.Metadata = string(metadata)

	row, _ := renderRow(t, entry)
	if row.Length() != 1 {
		t.Fatalf("the table was broken into %d pieces", row.Length())
	}
	if found := row.Find("script, img, style, [onerror], [style]"); found.Length() > 0 {
		t.Errorf("markup of the entry became markup of the page: %s", found.First().Text())
	}
	row.Find("a").Each(func(_ int, a *goquery.Selection) {
		if href := a.AttrOr("href", ""); !strings.HasPrefix(href, "/orgs/acme/") {
			t.Errorf("a link leads to %q", href)
		}
	})
	for _, place := range []string{".changes th code", ".changes td .value", ".tree dt", ".tree .value", ".entry-json pre", ".facts dd"} {
		if !strings.Contains(row.Find(place).Text(), "alert(1)") {
			t.Errorf("%s does not show the text", place)
		}
	}
	var copied any
	if err := json.Unmarshal([]byte(row.Find(".entry-json pre").Text()), &copied); err != nil {
		t.Errorf("the JSON cannot be read back: %v", err)
	}
}

func TestViewResourceLeadsToTheEventsOwnAddress(t *testing.T) {
	entry := sampleEntry()
	entry.URL = "https://console.example.com/services/srv_1"
	row, _ := renderRow(t, entry)
	link := row.Find(".entry-links a").First()
	if link.AttrOr("href", "") != entry.URL || !strings.Contains(link.AttrOr("rel", ""), "noopener") || !strings.Contains(link.Text(), "View resource") {
		t.Errorf("the first link is %q to %q, rel %q", link.Text(), link.AttrOr("href", ""), link.AttrOr("rel", ""))
	}

	row, _ = renderRow(t, sampleEntry())
	if href := row.Find(".entry-links a").First().AttrOr("href", ""); href != "/orgs/acme/resources/service?id=srv_1" {
		t.Errorf("without an address it leads to %q, not to the resource's history", href)
	}
}

func TestChangesComeBeforeEverythingElse(t *testing.T) {
	entry := sampleEntry()
	entry.Metadata = `{"changes":{"config":{"before":"one\ntwo\nthree","after":"one\n2\nthree"}},"service_name":"api"}`
	row, source := renderRow(t, entry)
	if changes, facts := strings.Index(source, "entry-changes"), strings.Index(source, "entry-facts"); changes < 0 || changes > facts {
		t.Errorf("changes stand at %d, facts at %d", changes, facts)
	}
	signs := row.Find(".diff-line").Map(func(_ int, line *goquery.Selection) string { return line.Text() })
	if got := strings.Join(signs, "|"); got != " one|−two|+2| three" {
		t.Errorf("the lines read %q", got)
	}
	if row.Find("del").Text() != "two" || row.Find("ins").Text() != "2" {
		t.Errorf("taken away is %q, put in %q", row.Find("del").Text(), row.Find("ins").Text())
	}
}
