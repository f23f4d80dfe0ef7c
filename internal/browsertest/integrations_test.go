package browsertest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp/kb"

	"github.com/auditlogs/auditlogs/handlers/github"
)

// deliverDeployment sends what GitHub would to the address and with the secret the page shows.
func (p *page) deliverDeployment(address, secret string) {
	p.t.Helper()
	const body = `{"action":"created","deployment":{"id":4711,"sha":"f95f852bd8fca8fcc58a9a2d6c842781e32a215e","environment":"production"},
		"repository":{"full_name":"northwind/web","html_url":"https://github.com/northwind/web"},"sender":{"login":"octocat"}}`
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-GitHub-Event", "deployment")
	request.Header.Set("X-GitHub-Delivery", "delivery-1")
	request.Header.Set("X-Hub-Signature-256", github.Sign([]byte(secret), []byte(body)))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		p.t.Fatalf("the delivery is answered %s", answer.Status)
	}
}

// GitHub is connected, delivers, gets a new secret and is disconnected, by keyboard.
func TestTheLifeOfAConnectionToGitHub(t *testing.T) {
	p := signedIn(t, serveDemo(t), "admin@example.com")
	// press Enter on what the selector finds, which Tab reaches
	enter := func(selector string) {
		t.Helper()
		p.waitFor(selector, `document.querySelector(`+quote(selector)+`)`)
		if !value[bool](p, `(() => { const e = document.querySelector(`+quote(selector)+`); e.focus(); return document.activeElement === e && e.tabIndex === 0 })()`) {
			t.Fatalf("%s cannot be reached by keyboard", selector)
		}
		p.press(kb.Enter)
	}
	p.visit(integrations)
	enter(`#github button.primary`)
	p.waitFor("the secret", `document.querySelector("#webhook-secret")`)
	barriers{}.look(p, "a secret that was just made", "light and dark")
	secret, address := value[string](p, `document.querySelector("#webhook-secret").value`), value[string](p, `document.querySelector("#webhook-address").value`)
	for _, copied := range []string{secret, address} {
		p.click(`[data-copy="` + copied + `"]`)
		p.waitFor("the word that it was copied", `/copied/i.test(document.querySelector(".toast")?.textContent ?? "")`)
	}

	p.deliverDeployment(address, secret)
	p.visit(integrations)
	p.waitFor("the last delivery", `/Last delivery\s*deployment on/.test(document.querySelector("#github .facts").textContent)`)
	p.size(390, 844)
	barriers{}.look(p, "a connection on a phone", "light and dark")
	p.fits(t, "a connection on a phone")
	p.size(1440, 900)
	p.visit(logs + "?q=4711")
	p.click(`#entries [data-entry-id] td[data-col=entity_type]`)
	p.waitFor("who, where and what", `["octocat", "northwind/web", "f95f852bd8fca8fcc58a9a2d6c842781e32a215e", "github-webhook"].every(word => document.querySelector(".entry-detail")?.textContent.includes(word))`)

	p.visit(integrations)
	enter(`form[action$="/secret"] button`)
	p.waitFor("the question", `document.querySelector("input[name=confirm][value=yes]")`)
	barriers{}.look(p, "the question before a new secret", "light and dark")
	enter(`form:has(input[name=confirm]) button`)
	p.waitFor("another secret", `document.querySelector("#webhook-secret")?.value !== `+quote(secret)+` && document.querySelector("#webhook-secret")?.value.length === 43`)

	enter(`form[action$="/disconnect"] button`)
	p.waitFor("the question", `document.querySelector("input[name=confirm][value=yes]")`)
	barriers{}.look(p, "the question before disconnecting", "light and dark")
	enter(`form:has(input[name=confirm]) button`)
	p.waitFor("what was done", `/was disconnected/.test(document.querySelector("main [role=status]")?.textContent ?? "")`)
	p.visit(logs + "?action=github_installation:link&action=github_installation:update&action=github_installation:unlink&from=-1h")
	if users := p.column("user"); len(users) != 3 {
		t.Errorf("recorded by %v", users)
	}
}

func TestConnectGitHubWithoutScript(t *testing.T) {
	p := open(t, serveDemo(t))
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	p.visit("/login")
	p.signIn("admin@example.com")
	p.visit(integrations)
	p.click(`#github button.primary`)
	p.waitFor("the secret", `document.querySelector("#webhook-secret")`)
	if value[bool](p, `[...document.querySelectorAll("[data-copy]")].some(button => button.checkVisibility())`) {
		t.Error("a button is shown that does nothing")
	}
	p.deliverDeployment(value[string](p, `document.querySelector("#webhook-address").value`), value[string](p, `document.querySelector("#webhook-secret").value`))
	p.click(`form[action$="/disconnect"] button`)
	p.waitFor("the question", `document.querySelector("input[name=confirm][value=yes]")`)
	p.click(`form:has(input[name=confirm]) button`)
	p.waitFor("what was done", `/was disconnected/.test(document.querySelector("main [role=status]")?.textContent ?? "")`)
}
