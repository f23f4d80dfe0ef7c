package browsertest

import (
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp/kb"
)

// A key is made, copied, used as the example beside it says, and revoked.
func TestAnAPIKeysLife(t *testing.T) {
	p := signedIn(t, serveDemo(t), "admin@example.com")
	p.expect("422")
	p.visit(apiKeys)
	if value[bool](p, `document.querySelector("[name=expires_on]").checkVisibility()`) {
		t.Error("the last day is asked for before somebody chose to type one")
	}
	value[bool](p, `(() => { document.querySelector("[name=name]").focus(); return true })()`)
	p.press("Build server" + kb.Tab + kb.Tab + "On a date")
	p.waitFor("the last day", `document.querySelector("[name=expires_on]").checkVisibility()`)
	p.press(kb.Tab + "12312026" + kb.Enter)
	p.waitFor("the key", `document.querySelector("#shown-key")`)
	token := value[string](p, `document.querySelector("#shown-key").value`)
	p.click(`[data-copy="` + token + `"]`)
	p.waitFor("the word that it was copied", `/copied/i.test(document.querySelector(".toast")?.textContent ?? "")`)
	barriers{}.look(p, "a key that was just made", "light and dark")

	// What is recorded with it names it.
	key, _, err := p.server.Accounts.APIKeyByToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if until := key.ExpiresAt.Time().Format("2006-01-02"); until != "2026-12-31" {
		t.Errorf("the key expires on %s", until)
	}
	_, event, _ := strings.Cut(value[string](p, `document.querySelector(".example").textContent`), "-d '")
	p.server.Client(t).Do("POST", "/api/v1/events", strings.NewReader(strings.TrimSuffix(event, "'")),
		"Authorization", "Bearer "+token, "Content-Type", "application/json").Expect(201)
	p.visit(logs + "?q=dep_1&actor=usr_1")
	p.click(`#entries [data-entry-id] td[data-col=entity_type]`)
	p.waitFor("the key it came with", `/API key\s+Build server/.test(document.querySelector(".entry-facts")?.textContent ?? "")`)
	p.click(`.entry-facts a[href*="` + url.QueryEscape(key.ID) + `"]`)
	p.waitFor("what the key sent", `new URLSearchParams(location.search).has("api_key") && document.querySelectorAll("#entries [data-entry-id]").length === 1`)

	p.visit(apiKeys)
	p.click(`[data-key-id=` + key.ID + `] .actions a`)
	p.waitFor("what is masked of it", `document.querySelector("main form [name=mask_keys]")`)
	p.fill(`[name=mask_keys]`, "_")
	p.press(kb.Enter)
	p.waitFor("the reason", `document.activeElement.matches("[name=mask_keys][aria-invalid=true]")`)
	barriers{}.look(p, "what is masked, refused", "light and dark")
	p.fill(`[name=mask_keys]`, "pin")
	p.press(kb.Enter)
	p.waitFor("the list with it", `/Masks 1 more key/.test(document.querySelector("[data-key-id=`+key.ID+`]")?.textContent ?? "")`)
	p.click(`[data-key-id=` + key.ID + `] .actions button`)
	p.waitFor("the question", `document.querySelector("input[name=confirm][value=yes]")`)
	barriers{}.look(p, "the question before a key is revoked", "light and dark")
	p.click(`form:has(input[name=confirm]) button`)
	p.waitFor("the list without it", `location.pathname.endsWith("/api-keys") && document.querySelector("main [role=status]") && !document.querySelector("[data-key-id=`+key.ID+`]")`)
	p.server.Client(t).Do("GET", "/api/v1/actions", nil, "Authorization", "Bearer "+token).Expect(401)
}

func TestAnAPIKeyWithoutScript(t *testing.T) {
	p := open(t, serveDemo(t))
	p.expect("422")
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	p.visit("/login")
	p.signIn("admin@example.com")
	p.visit(apiKeys)
	p.click(`main form button.primary`)
	p.waitFor("the reason", `document.querySelector("[name=name][aria-invalid=true]")`)
	if value[bool](p, `document.querySelector("[name=mask_keys]").checkVisibility()`) {
		t.Error("what is masked is not folded away")
	}
	p.click(`main form summary`)
	p.fill(`[name=mask_keys]`, "pin")
	p.fill(`[name=name]`, "Script")
	p.press(kb.Enter)
	p.waitFor("the key", `document.querySelector("#shown-key")`)
	if token := value[string](p, `document.querySelector("#shown-key").value`); !strings.HasPrefix(token, "alk_") {
		t.Errorf("the key is %q", token)
	}
	if value[bool](p, `document.querySelector("[data-copy]").checkVisibility()`) {
		t.Error("a button is shown that does nothing")
	}
	if row := value[string](p, `document.querySelector("[data-key-id]").textContent`); !strings.Contains(row, "Masks 1 more key") {
		t.Errorf("the list says %q", row)
	}
	p.click(`[data-key-id] .actions button`)
	p.waitFor("the question", `document.querySelector("input[name=confirm][value=yes]")`)
	p.click(`form:has(input[name=confirm]) button`)
	p.waitFor("what was done", `/was revoked/.test(document.querySelector("main [role=status]")?.textContent ?? "")`)
}
