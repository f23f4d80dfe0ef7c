package browsertest

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp/kb"
)

// One's own account is reached and used with the keyboard alone, with and without JavaScript.
func TestOnesAccount(t *testing.T) {
	for name, without := range map[string]bool{"with script": false, "without script": true} {
		t.Run(name, func(t *testing.T) {
			server := serveDemo(t)
			phone := signedIn(t, server, "member@example.com")
			p := open(t, server)
			p.expect("the server responded with a status of 422")
			if without {
				call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
			}
			p.visit("/login")
			p.signIn("member@example.com")
			p.visit(members)
			for value[string](p, `document.activeElement.getAttribute("href") ?? ""`) != "/account" {
				p.press(kb.Tab)
			}
			p.press(kb.Enter)
			p.waitFor("the account", `location.pathname === "/account" && document.readyState === "complete"`)
			if rows := p.texts("[data-session-id]"); len(rows) != 2 {
				t.Errorf("the sessions are %q", rows)
			}

			p.fill(`input[name=current_password]`, "audit-demo")
			p.press(kb.Tab + "password123" + kb.Enter)
			p.waitFor("the refusal", `document.activeElement.matches("input[name=password][aria-invalid]")`)
			p.fill(`input[name=current_password]`, "audit-demo")
			p.press(kb.Tab + "wet llama sings" + kb.Enter)
			p.waitFor("the notice", `/Your password was changed/.test(document.querySelector("main [role=status]")?.textContent) && document.querySelectorAll("[data-session-id]").length === 1`)

			phone.visit(logs)
			phone.waitFor("the sign-in page", `location.pathname === "/login"`)
			phone.fill(`input[name=email]`, "member@example.com")
			phone.fill(`input[name=password]`, "wet llama sings")
			phone.press(kb.Enter)
			phone.waitFor("the log", `location.pathname.endsWith("/settings/audit-logs") && document.readyState === "complete"`)

			p.visit("/account")
			for value[string](p, `document.activeElement.textContent.trim()`) != "End" {
				p.press(kb.Tab)
			}
			p.press(kb.Enter)
			p.waitFor("the end", `/The session was ended/.test(document.querySelector("main [role=status]")?.textContent) && document.querySelectorAll("[data-session-id]").length === 1`)
			phone.visit(members)
			phone.waitFor("the sign-in page", `location.pathname === "/login"`)
		})
	}
}
