package question

import (
	"slices"
	"strings"
	"testing"
)

// The place is where the | stands.
func TestWhatIsTyped(t *testing.T) {
	for text, want := range map[string]Typing{
		"|":                           {},
		"ac|":                         {Typed: "ac"},
		"web -ac|":                    {Typed: "ac"},
		"web |":                       {},
		"a|c web":                     {Typed: "a"},
		"action:|":                    {Field: "action"},
		"ACTION:ser|":                 {Field: "action", Typed: "ser"},
		"action:service:up|":          {Field: "action", Typed: "service:up"},
		"-action:service:update,se|":  {Field: "action", Typed: "se"},
		`actor:"Ada L|`:               {Field: "actor", Typed: "Ada L"},
		`actor:"Ada L",bo| outcome:x`: {Field: "actor", Typed: "bo"},
		"meta:AK|":                    {Field: "meta", Typed: "AK"},
		"meta.|":                      {Field: "meta", Key: true},
		"meta.us|":                    {Field: "meta", Key: true, Typed: "us"},
		"meta.changes.ro|":            {Field: "meta", Path: []string{"changes"}, Key: true, Typed: "ro"},
		`meta."a.b".c|`:               {Field: "meta", Path: []string{"a.b"}, Key: true, Typed: "c"},
		"meta.changes.role.after:ad|": {Field: "meta", Path: []string{"changes", "role", "after"}, Typed: "ad"},
		`"two wo|`:                    {Typed: `"two wo`},
		"arn:aws|":                    {Typed: "arn:aws"},
	} {
		before, after, _ := strings.Cut(text, "|")
		got := TypingAt(before+after, len(before))
		if got.Field != want.Field || got.Key != want.Key || got.Typed != want.Typed || !slices.Equal(got.Path, want.Path) {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

func TestCompletionsTakeThePlaceOfWhatIsTyped(t *testing.T) {
	for text, test := range map[string]struct {
		complete func(Typing) (string, int)
		want     string
	}{
		"web ac|":                   {func(t Typing) (string, int) { return t.WithField("action") }, "web action:|"},
		"-a|x web":                  {func(t Typing) (string, int) { return t.WithField("actor") }, "-actor:| web"},
		"actor:a|":                  {func(t Typing) (string, int) { return t.WithValue("Ada Lovelace") }, `actor:"Ada Lovelace" |`},
		`actor:"Ada| Lov",bob x`:    {func(t Typing) (string, int) { return t.WithValue(`a\*b`) }, `actor:a\*b|,bob x`},
		"actor:bob,|ada x":          {func(t Typing) (string, int) { return t.WithValue("eve") }, "actor:bob,eve| x"},
		"meta.cha|":                 {func(t Typing) (string, int) { return t.WithKey("changes", false) }, "meta.changes.|"},
		"meta.changes.x|.after:ada": {func(t Typing) (string, int) { return t.WithKey("a b", false) }, `meta.changes."a b"|.after:ada`},
		"meta.us|":                  {func(t Typing) (string, int) { return t.WithKey("userAgent", true) }, "meta.userAgent:|"},
	} {
		before, after, _ := strings.Cut(text, "|")
		got, at := test.complete(TypingAt(before+after, len(before)))
		if got = got[:at] + "|" + got[at:]; got != test.want {
			t.Errorf("%s: %s, want %s", text, got, test.want)
		}
	}
}
