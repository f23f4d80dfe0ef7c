package browsertest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// waitForNumber waits until a number stands beside a value of a menu.
func (p *page) waitForNumber(menu, of string) string {
	p.t.Helper()
	number := `document.querySelector(` + quote(`details[data-facet=`+menu+`] .option:has([value="`+of+`"])`) + `)?.dataset.number`
	p.waitFor("the number of "+of, number)
	return value[string](p, number)
}

// waitForSaid waits until screen readers say a text as the name of something that can be ticked.
func (p *page) waitForSaid(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // between two looks at a page that changes by itself
		tree, err := chromedp.Call(p.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		if err != nil {
			p.t.Fatal(err)
		}
		if slices.ContainsFunc(tree.Nodes, func(n *accessibility.Node) bool {
			return n.Role != nil && n.Name != nil && string(n.Role.Value) == `"checkbox"` && string(n.Name.Value) == quote(text)
		}) {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("a screen reader does not say %q", text)
		}
	}
}

func TestMenusSayHowManyEntriesTheirValuesHave(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	p.click(`details[data-facet=action] > summary`)
	all := p.waitForNumber("action", "service:update")
	p.waitForSaid("service:update " + all + " entries")
	// It is how many the log shows then, and stays so for a value that is ticked beside.
	p.click(`details[data-facet=action] label:has([value="service:update"])`)
	p.waitForQuery("action", "service:update")
	p.waitFor("as many entries", `document.querySelector("#counts .counts-total")?.textContent.startsWith(`+quote(all+" entr")+`)`)
	p.press(kb.Escape)

	// The other menus go by what is ticked.
	p.click(`details[data-facet=outcome] > summary`)
	succeeded := p.waitForNumber("outcome", "success")
	p.click(`details[data-facet=outcome] label:has([value="success"])`)
	p.waitForQuery("outcome", "success")
	p.waitFor("as many entries", `document.querySelector("#counts .counts-total")?.textContent.startsWith(`+quote(succeeded+" entr")+`)`)
	p.press(kb.Escape)
	p.click(`details[data-facet=actor] > summary`)
	p.waitForNumber("actor", "system")
	p.fill(`details[data-facet=actor] input[type=search]`, "daniel kim")
	p.waitFor("numbers of who was found", `document.querySelector("#actor-options .option") && [...document.querySelectorAll("#actor-options .option")].every((option) => option.dataset.number && option.textContent.includes("Daniel Kim"))`)
	p.press(kb.Escape)

	p.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("entity-type").focus(); undefined`))
	p.waitFor("numbers of the types", `[...document.getElementById("entity-type").options].some((type) => type.label === "service · `+succeeded+`")`)
	// Keys would have to follow each other within a second, or begin another type.
	p.do(chromedp.Evaluate[chromedp.Void](`const type = document.getElementById("entity-type"); type.value = "service"; type.dispatchEvent(new Event("change", {bubbles: true})); undefined`))
	p.waitForQuery("entity_type", "service")
	p.waitFor("the type alone", `document.getElementById("entity-type").selectedOptions[0].label === "service"`)
	if strings.Contains(value[string](p, `location.search`), "of=") {
		t.Error("the address says what the menu asked")
	}
}
