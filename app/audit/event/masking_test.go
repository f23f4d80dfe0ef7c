package event_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// storedMetadata is how metadata is stored.
func storedMetadata(t testing.TB, metadata any) string {
	t.Helper()
	encoded, err := json.Marshal(event.Event{Metadata: metadata})
	if err != nil {
		t.Fatal(err)
	}
	var event struct{ Metadata json.RawMessage }
	if err := json.Unmarshal(encoded, &event); err != nil {
		t.Fatal(err)
	}
	return string(event.Metadata)
}

func TestKeysThatLookLikeCredentialsAreMasked(t *testing.T) {
	for _, key := range []string{
		"password", "PASSWORD", "Password", "db_password", "passwordHash", "pass-word", "p.a.s.s.w.d", "pwd", "pass phrase", "PASSWORD\x00",
		"token", "accessToken", "tokens", "x-csrf-token", "secret", "ClientSecret", "SECRET_KEY_BASE", "ſecret",
		"authorization", "Proxy-Authorization", "cookie", "Set-Cookie", "credential", "aws.credentials",
		"apiKey", "API-KEY", "API KEY", "apikey", "x.api key", "X/Api/Keys", "api\u200bkey", "privateKey", "ssh_private_key", "PRIVATE KEY",
		"spec.db.password", `labels."db.password"`, "pass\xffword",
	} {
		if got, want := storedMetadata(t, map[string]any{"in": []any{map[string]any{key: "hunter2"}}}),
			storedMetadata(t, map[string]any{"in": []any{map[string]any{key: event.Masked}}}); got != want {
			t.Errorf("%q: stored %s, want %s", key, got, want)
		}
	}
	for _, key := range []string{
		"name", "key", "api", "private", "author", "authorized", "keyboard", "pass", "passed", "compass", "shipping", "pin", "iban",
		"api_version_key", "", "…", "日本",
	} {
		if got, want := storedMetadata(t, map[string]any{key: "hunter2"}), `{"`+key+`":"hunter2"}`; got != want {
			t.Errorf("%q: stored %s, want %s", key, got, want)
		}
	}
}

func TestWhatOfACredentialIsMasked(t *testing.T) {
	for metadata, want := range map[string]string{
		`{"token":"x"}`:                      `{"token":"[masked]"}`,
		`{"token":""}`:                       `{"token":"[masked]"}`,
		`{"token":123456}`:                   `{"token":"[masked]"}`,
		`{"token":["a","b",1,null]}`:         `{"token":["[masked]","[masked]","[masked]",null]}`,
		`{"token":{"value":"x"}}`:            `{"token":{"value":"[masked]"}}`,
		`{"token":{}}`:                       `{"token":{}}`,
		`{"token":null}`:                     `{"token":null}`,
		`{"token":true}`:                     `{"token":true}`,
		`{"changed_fields":["password"]}`:    `{"changed_fields":["password"]}`,
		`{"reason":"the password is wrong"}`: `{"reason":"the password is wrong"}`,
		// A change stays one.
		`{"changes":{"password":{"before":"a","after":"b"}}}`:           `{"changes":{"password":{"after":"[masked]","before":"[masked]"}}}`,
		`{"changes":{"password":{"before":null,"after":["b"]}}}`:        `{"changes":{"password":{"after":["[masked]"],"before":null}}}`,
		`{"changes":{"password":{"after":"b"}}}`:                        `{"changes":{"password":{"after":"[masked]"}}}`,
		`{"changes":{"password":{"after":{"before":"b"}}}}`:             `{"changes":{"password":{"after":{"before":"[masked]"}}}}`,
		`{"changes":{"password":{"before":"a","after":"b","why":"c"}}}`: `{"changes":{"password":{"after":"[masked]","before":"[masked]","why":"[masked]"}}}`,
		// What is named by a value.
		`{"env":[{"name":"DB_PASSWORD","value":"x"},{"name":"PORT","value":"80"}]}`: `{"env":[{"name":"DB_PASSWORD","value":"[masked]"},{"name":"PORT","value":"80"}]}`,
		`{"headers":[{"Key":"Cookie","Value":"x","kind":"y"}]}`:                     `{"headers":[{"Key":"Cookie","Value":"[masked]","kind":"y"}]}`,
		`{"fields":[{"after":"b","before":null,"field":"token"}]}`:                  `{"fields":[{"after":"[masked]","before":null,"field":"token"}]}`,
	} {
		if got := storedMetadata(t, json.RawMessage(metadata)); got != want {
			t.Errorf("%s\nis stored as %s\nwant         %s", metadata, got, want)
		}
	}
}

func TestApplicationsMaskTheirOwnKeys(t *testing.T) {
	event.MaskKeys("nip code", "NIPC", "größe")
	event.MaskKeys("nip code")
	for key, masked := range map[string]bool{
		"nipc": true, "NIPC": true, "userNipc": true, "USER_NIPCS": true, "card.nipc": true, "Nipc2": true, "theNIPCNow": true,
		"nip_code": true, "nipCode": true, "NIP-CODES": true, "nipcode": true, "my nip code": true, "GRÖSSE": false, "GRÖẞE": true, "größe": true,
		"snipcare": false, "nipcs2go": true, "turnipcode": false, "nip": false, "nipcodec": false,
	} {
		want := "x"
		if masked {
			want = event.Masked
		}
		if got := storedMetadata(t, map[string]any{key: "x"}); got != `{"`+key+`":"`+want+`"}` {
			t.Errorf("stored %s, want %s", got, want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a key without letters was added")
		}
	}()
	event.MaskKeys("_-_")
}

func TestApplicationsKeepTheirOwnKeys(t *testing.T) {
	event.MaskKeys("vip token")
	event.KeepKeys("nimble token", "vip token", "nimble secrets", "Nimble-Code")
	for metadata, want := range map[string]string{
		`{"nimbleToken":"x"}`:                                      "",
		`{"NIMBLE_TOKEN":{"value":"x"}}`:                           "",
		`{"changes":{"spec.nimble_token":{"after":"x"}}}`:          "",
		`{"credentials":{"nimble_code":"x","nimble_secrets":[1]}}`: "",
		`{"env":[{"name":"NIMBLE_TOKEN","value":"x"}]}`:            "",
		`{"userNimbleToken":"x"}`:                                  `{"userNimbleToken":"[masked]"}`,
		`{"nimble_token_secret":"x"}`:                              `{"nimble_token_secret":"[masked]"}`,
		`{"nimble_secrets":[{"password":"x"}]}`:                    `{"nimble_secrets":[{"password":"[masked]"}]}`,
		`{"nimble_token":"https://u:p@example.com"}`:               `{"nimble_token":"https://u:[masked]@example.com"}`,
		`{"vip_token":{"id":"x"}}`:                                 `{"vip_token":"[masked]"}`, // what is to be masked is
	} {
		if want == "" {
			want = metadata
		}
		if got := storedMetadata(t, json.RawMessage(metadata)); got != want {
			t.Errorf("%s\nis stored as %s\nwant         %s", metadata, got, want)
		}
	}
	defer func() {
		var refused *fault.Field
		if err, _ := recover().(error); !errors.As(err, &refused) || refused.Code != fault.Invalid {
			t.Errorf("a key without letters gives %v", err)
		}
	}()
	event.KeepKeys("…")
}

func TestAContextHasRulesOfItsOwn(t *testing.T) {
	event.MaskKeys("otter token")
	event.KeepKeys("otter secret")
	ctx := event.WithMasking(t.Context(), []string{"otter_pin", "otter secret"}, []string{"otter_cookie", "otterToken", "otterPin"})
	for _, of := range []struct {
		ctx            context.Context
		metadata, want string
	}{
		{ctx, `{"userOtterPins":[1,{"id":"x"}]}`, `{"userOtterPins":"[masked]"}`},
		{ctx, `{"otterCookie":"x"}`, `{"otterCookie":"x"}`},
		{ctx, `{"otterPin":"x"}`, `{"otterPin":"[masked]"}`},       // what is to be masked is
		{ctx, `{"otterSecret":"x"}`, `{"otterSecret":"[masked]"}`}, // also where the program keeps it
		{ctx, `{"otterToken":"x"}`, `{"otterToken":"[masked]"}`},   // and what the program masks
		{ctx, `{"otterCookie":"https://u:p@example.com"}`, `{"otterCookie":"https://u:[masked]@example.com"}`},
		{ctx, `{"password":"x"}`, `{"password":"[masked]"}`},
		{event.WithMasking(ctx, nil, []string{"otter credential"}), `{"otterCookie":"x","otterCredential":"x","otterPin":"x"}`,
			`{"otterCookie":"x","otterCredential":"x","otterPin":"[masked]"}`},
		{t.Context(), `{"otterCookie":"x","otterPin":"x","otterSecret":"x"}`, `{"otterCookie":"[masked]","otterPin":"x","otterSecret":"x"}`},
		{event.WithMasking(t.Context(), nil, nil), `{"otterCookie":"x","otterPin":"x"}`, `{"otterCookie":"[masked]","otterPin":"x"}`},
	} {
		e, err := event.Resolve(of.ctx, anEvent(func(e *event.Event) { e.Metadata = json.RawMessage(of.metadata) }), time.Now())
		if got := fmt.Sprintf("%s", e.Metadata); err != nil || got != of.want {
			t.Errorf("%s\nis stored as %s, %v\nwant         %s", of.metadata, got, err, of.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a key without letters was taken")
		}
	}()
	event.WithMasking(t.Context(), nil, []string{"x", "_-_"})
}

func TestTextsOfAnEventAreMaskedByForm(t *testing.T) {
	e, err := event.Resolve(t.Context(), anEvent(func(e *event.Event) {
		e.EntityName, e.Reason, e.URL = "postgres://web:hunter2@db/x", "password=hunter2", "https://example.com/x?token=hunter2&y=1"
		e.Metadata = map[string]any{"token": []string{"hunter2", "hunter2"}, "text": "none"}
	}), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if e.EntityName != "postgres://web:[masked]@db/x" || e.Reason != "password=[masked]" || e.URL != "https://example.com/x?token=[masked]&y=1" {
		t.Errorf("%q, %q, %q", e.EntityName, e.Reason, e.URL)
	}
	if e.Masked() != 5 {
		t.Errorf("%d values are masked", e.Masked())
	}
	for _, sent := range []action.Action{"", "event:get_token_hunter2"} { // as an earlier client folds it
		e, err = event.Resolve(t.Context(), anEvent(func(e *event.Event) {
			e.Action, e.NativeAction = sent, "GET ?token=hunter2"
			e.Related = []event.Resource{{Type: "database", ID: "db-1", Name: "postgres://web:hunter2@db/x"}}
			e.Actor.OnBehalfOf = &event.Principal{ID: "u-2", Session: "token=hunter2"}
		}), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if e.NativeAction != "GET ?token=[masked]" || e.Action != "event:get_token_masked" ||
			e.Related[0].Name != "postgres://web:[masked]@db/x" || e.Actor.OnBehalfOf.Session != "token=[masked]" {
			t.Errorf("sent as %q: %q, %q, %v, %v", sent, e.NativeAction, e.Action, e.Related, e.Actor.OnBehalfOf)
		}
		if e.Masked() != 3 {
			t.Errorf("%d values are masked", e.Masked())
		}
	}
}

// What a client has masked fits, and is taken by the server as it is.
func TestWhatIsMaskedIsNoLongerThanAllowed(t *testing.T) {
	secrets := func(limit int) string { return strings.Repeat("token=a&", limit/len("token=a&")) }
	first, err := event.Resolve(t.Context(), anEvent(func(e *event.Event) {
		e.Action, e.NativeAction, e.EntityName, e.Reason = "", secrets(event.MaxNativeAction), secrets(event.MaxName), secrets(event.MaxReason)
		const host = "https://example.com/?"
		e.URL = host + secrets(event.MaxURL-len(host))
		e.Related = []event.Resource{{Type: "database", ID: "db-1", Name: secrets(event.MaxName)}}
		e.Actor.OnBehalfOf = &event.Principal{ID: "u-2", Session: secrets(event.MaxSession)}
	}), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	again, err := event.Resolve(t.Context(), first, time.Now())
	if err != nil || !reflect.DeepEqual(first, again) {
		t.Errorf("%+v, %v\nis not as %+v", again, err, first)
	}
}

func BenchmarkValidateMetadata(b *testing.B) {
	changes := map[string]event.Change{"replicas": {Before: 2, After: 5}, "memory_mb": {Before: 256, After: 512}}
	for name, metadata := range map[string]any{
		"usual":  map[string]any{"service_name": "checkout", "changed_fields": []string{"memory_mb", "replicas"}, "changes": changes},
		"json":   json.RawMessage(`{"branch":"main","commit":"4f1c2aa","environment":"production","service_id":"svc_1","service_name":"checkout"}`),
		"masked": map[string]any{"service_name": "checkout", "db_password": "hunter2"},
	} {
		b.Run(name, func(b *testing.B) {
			e := anEvent(func(e *event.Event) { e.Metadata = metadata })
			b.ReportAllocs()
			for b.Loop() {
				if err := event.Validate(b.Context(), e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestKeysWithNULStayApart(t *testing.T) {
	for range 20 { // maps are read in another order each time
		got := storedMetadata(t, json.RawMessage(`{"a\u0000":1,"a\ufffd":2,"a\ufffd\u0000":3}`))
		if want := `{"a�":2,"a� 2":1,"a��":3}`; got != want {
			t.Fatalf("stored as %s, want %s", got, want)
		}
	}
}

// TestKeysThatBecomeOneStayApart also asks that so many take no longer than in proportion to how many they are: looking for
// the name of each from the first on took minutes.
func TestKeysThatBecomeOneStayApart(t *testing.T) {
	const most = 4096
	credentials, withNUL := map[string]int{}, map[string]int{}
	for i := range most {
		credentials[fmt.Sprintf("https://example.com/?token=%04d", i)] = i
		withNUL[strings.NewReplacer("0", "\x00", "1", "\ufffd").Replace(fmt.Sprintf("%012b", i))] = i
	}
	for clean, keys := range map[string]map[string]int{
		"https://example.com/?token=[masked]": credentials, strings.Repeat("\ufffd", 12): withNUL,
	} {
		var stored map[string]any
		if err := json.Unmarshal([]byte(storedMetadata(t, keys)), &stored); err != nil {
			t.Fatal(err)
		}
		if _, first := stored[clean]; len(stored) != most || !first {
			t.Fatalf("%d keys that become %q were stored as %d", most, clean, len(stored))
		}
		for n := 2; n <= most; n++ {
			if _, there := stored[fmt.Sprintf("%s %d", clean, n)]; !there {
				t.Fatalf("of the keys that become %q there is none with the number %d", clean, n)
			}
		}
	}
}
