package question

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/models/entries"
)

// env has two recorded actions that look like terms, and takes dates.
var env = Env{
	Actions: func() []string { return []string{"key:create", "user:sign_in"} },
	Moment:  func(text string, end bool) bool { return strings.HasPrefix(text, "2026-") || text == "-7d" },
}

func text(not bool, value string) entries.Term {
	return entries.Term{Values: []string{value}, Not: not}
}

func TestQuestionsAreRead(t *testing.T) {
	of := func(field entries.Field, values ...string) entries.Term {
		return entries.Term{Field: field, Values: values}
	}
	for typed, want := range map[string]struct {
		question Question
		printed  string
	}{
		"":                  {Question{}, ""},
		"  ada   staging ":  {Question{Words: []string{"ada", "staging"}}, "ada staging"},
		`"ada"`:             {Question{Words: []string{"ada"}}, "ada"},
		`"checkout   api" `: {Question{Terms: []entries.Term{text(false, "checkout api")}}, `"checkout api"`},
		`-ada`:              {Question{Terms: []entries.Term{text(true, "ada")}}, "-ada"},
		`-"two words"`:      {Question{Terms: []entries.Term{text(true, "two words")}}, `-"two words"`},
		`"say \"hi\" \\"`:   {Question{Terms: []entries.Term{text(false, `say "hi" \`)}}, `"say \"hi\" \\"`},
		`5"disk`:            {Question{Words: []string{`5"disk`}}, `5"disk`},
		"web*":              {Question{Words: []string{"web"}}, "web"},
		"we*b":              {Question{Terms: []entries.Term{text(false, "we*b")}}, "we*b"},
		`we\*b`:             {Question{Words: []string{"we*b"}}, `"we\*b"`},
		"*":                 {Question{Words: []string{"*"}}, "*"},
		`a\\b`:              {Question{Words: []string{`a\b`}}, `a\b`},
		"100%_":             {Question{Words: []string{"100%_"}}, "100%_"},

		// Text with a colon is text, unless it begins with the name of a field, or nearly.
		"arn:aws:iam::1:role/x": {Question{Words: []string{"arn:aws:iam::1:role/x"}}, "arn:aws:iam::1:role/x"},
		"https://example.com":   {Question{Words: []string{"https://example.com"}}, "https://example.com"},
		"user:sign_in":          {Question{Words: []string{"user:sign_in"}}, `"user:sign_in"`},
		"user:sign":             {Question{Words: []string{"user:sign"}}, `"user:sign"`},
		"key:create":            {Question{Words: []string{"key:create"}}, `"key:create"`},
		"-key:create":           {Question{Terms: []entries.Term{text(true, "key:create")}}, `-"key:create"`},
		"key:creates":           {Question{Terms: []entries.Term{of("key", "creates")}}, "key:creates"},
		`"actor:ada"`:           {Question{Words: []string{"actor:ada"}}, `"actor:ada"`},
		"meta.json":             {Question{Words: []string{"meta.json"}}, "meta.json"},
		"action.x:y":            {Question{Words: []string{"action.x:y"}}, "action.x:y"},

		"Actor:u-7 web":                          {Question{Words: []string{"web"}, Terms: []entries.Term{of("actor", "u-7")}}, "web actor:u-7"},
		"action:deployment:*":                    {Question{Terms: []entries.Term{of("action", "deployment:*")}}, "action:deployment:*"},
		"by:Agent,user":                          {Question{Terms: []entries.Term{of("by", "agent", "user")}}, "by:agent,user"},
		"hours:Mon-Fri/8-18,sat/0-24/Asia/Tokyo": {Question{Terms: []entries.Term{of("hours", "mon-fri/08:00-18:00/UTC", "sat/00:00-24:00/Asia/Tokyo")}}, "hours:mon-fri/08:00-18:00/UTC,sat/00:00-24:00/Asia/Tokyo"},
		"action:b:c,a:b,a:b":                     {Question{Terms: []entries.Term{of("action", "a:b", "b:c")}}, "action:a:b,b:c"},
		`actor:"Ada L, Lovelace",bob`:            {Question{Terms: []entries.Term{of("actor", "Ada L, Lovelace", "bob")}}, `actor:"Ada L, Lovelace",bob`},
		"ip:10.1.2.3/8":                          {Question{Terms: []entries.Term{of("ip", "10.0.0.0/8")}}, "ip:10.0.0.0/8"},
		"ip:2001:db8::1,10.0.*":                  {Question{Terms: []entries.Term{of("ip", "10.0.*", "2001:db8::1")}}, "ip:10.0.*,2001:db8::1"},
		"outcome:DENIED,failure":                 {Question{Terms: []entries.Term{of("outcome", "denied", "failure")}}, "outcome:denied,failure"},
		"type:Service*":                          {Question{Terms: []entries.Term{of("type", "service*")}}, "type:service*"},
		"meta:AKIA*":                             {Question{Terms: []entries.Term{of("meta", "AKIA")}}, "meta:AKIA"},
		"meta:*":                                 {Question{Terms: []entries.Term{of("meta", "*")}}, "meta:*"},
		"meta.userAgent:stratus*":                {Question{Terms: []entries.Term{{Field: "meta", Path: []string{"userAgent"}, Values: []string{"stratus*"}}}}, "meta.userAgent:stratus*"},
		`meta."a.b".c:"x y"`:                     {Question{Terms: []entries.Term{{Field: "meta", Path: []string{"a.b", "c"}, Values: []string{"x y"}}}}, `meta."a.b".c:"x y"`},
		`-meta.requestParameters.x:1`:            {Question{Terms: []entries.Term{{Field: "meta", Path: []string{"requestParameters", "x"}, Values: []string{"1"}, Not: true}}}, "-meta.requestParameters.x:1"},
		"after:2026-11-20 before:-7d":            {Question{After: []string{"2026-11-20"}, Before: []string{"-7d"}}, "after:2026-11-20 before:-7d"},
		"-type:a type:b actor:u id:x":            {Question{Terms: []entries.Term{of("actor", "u"), of("type", "b"), {Field: "type", Values: []string{"a"}, Not: true}, of("id", "x")}}, "actor:u type:b -type:a id:x"},
		"actor:u actor:u actor:u":                {Question{Terms: []entries.Term{of("actor", "u")}}, "actor:u"},
		`name:"with \"quotes\" and \ "`:          {Question{Terms: []entries.Term{of("name", `with "quotes" and \`)}}, `name:"with \"quotes\" and \\"`},
	} {
		got, problems := Parse(typed, env)
		if len(problems) > 0 || !reflect.DeepEqual(got, want.question) {
			t.Errorf("%s is %+v, want %+v; problems: %v", typed, got, want.question, problems)
		}
		if got.String() != want.printed {
			t.Errorf("%s prints as %s, want %s", typed, got, want.printed)
		}
	}
}

func TestProblemsSayWhereAndWhatWouldBeRight(t *testing.T) {
	for typed, want := range map[string]Problem{
		"action:":                            {0, 7, "action:", "needs a value", "action:deployment:*", true},
		"web action: x":                      {4, 11, "action:", "needs a value", "action:deployment:*", false},
		"actor:a,":                           {0, 8, "actor:a,", "needs a value", "actor:ada@example.com", true},
		`id:"" x`:                            {0, 5, `id:""`, "needs a value", "id:svc_42", false},
		`"half`:                              {0, 5, `"half`, `no " at its end`, `"half"`, true},
		`name:"half`:                         {0, 10, `name:"half`, `no " at its end`, `name:"half"`, true},
		`"" x`:                               {0, 2, `""`, "nothing between", "", false},
		"é -":                                {2, 3, "-", "left out", "", true},
		"a - b":                              {2, 3, "-", "left out", "", false},
		"acton:x":                            {0, 7, "acton:x", "no field acton", "action:x", false},
		"-User:ada":                          {0, 9, "-User:ada", "no field User", "-actor:ada", false},
		"metadata.a.b:c":                     {0, 14, "metadata.a.b:c", "no field metadata", "meta.a.b:c", false},
		"request_id:r":                       {0, 12, "request_id:r", "no field request_id", "request:r", false},
		"ip:10.0.0.300":                      {0, 13, "ip:10.0.0.300", "must be an address", "ip:10.0.0.0/8", false},
		"ip:10.0.0.0/99":                     {0, 14, "ip:10.0.0.0/99", "must be an address", "ip:10.0.0.0/8", false},
		"outcome:ok":                         {0, 10, "outcome:ok", "success, failure or denied", "outcome:failure", false},
		"by:ada":                             {0, 6, "by:ada", "by: is user, service, agent", "actor:ada", false},
		"hours:8-18":                         {0, 10, "hours:8-18", "must be days and hours", "hours:mon-fri/8-18", false},
		"type:a-b":                           {0, 8, "type:a-b", "letters, digits", "type:service", false},
		"after:friday":                       {0, 12, "after:friday", "must be a date", "after:-7d", false},
		"after:-7d,-8d":                      {0, 13, "after:-7d,-8d", "takes one time", "after:-7d", false},
		"-after:2026-11-20":                  {0, 17, "-after:2026-11-20", "bounded from the other side", "before:2026-11-20", false},
		"source:" + strings.Repeat("x", 101): {0, 108, "source:" + strings.Repeat("x", 101), "longer than 100 bytes", "", false},
	} {
		_, problems := Parse(typed, env)
		if len(problems) != 1 {
			t.Errorf("%s has the problems %v", typed, problems)
			continue
		}
		got := problems[0]
		if reason := got.Reason; strings.Contains(reason, want.Reason) {
			got.Reason = want.Reason
		}
		if got != want {
			t.Errorf("%s: %+v, want %+v", typed, got, want)
		}
		if got.Right != "" && got.Right != want.Text {
			if _, problems := Parse(got.Right, env); len(problems) > 0 {
				t.Errorf("%s is said to be right: %v", got.Right, problems)
			}
		}
	}
}

func TestWhatIsUnderstoodRemains(t *testing.T) {
	q, problems := Parse("ada action: -outcome:ok type:service", env)
	if q.String() != "ada type:service" || len(problems) != 2 {
		t.Errorf("understood is %s, with %v", q, problems)
	}
	if message := problems[1].Error(); message != `"-outcome:ok" at character 13: outcome: is success, failure or denied; right would be outcome:failure` {
		t.Errorf("the problem reads %s", message)
	}
	if _, problems := Parse(strings.Repeat("-x ", maxTerms)+"id:1 id:2", env); len(problems) != 2 {
		t.Errorf("too many terms have the problems %v", problems)
	}
}

func TestQuestionsChange(t *testing.T) {
	q, _ := Parse(`a* b actor:u "two words"`, env)
	for _, part := range []string{`"two words"`, "actor:u"} {
		if without := q.Without(part).String(); strings.Contains(without, part) || len(without) != len(q.String())-len(part)-1 {
			t.Errorf("%s without %s is %s", q, part, without)
		}
	}
	if with := q.With(text(true, "x")).String(); with != `a b -x "two words" actor:u` && with != `a b "two words" -x actor:u` {
		t.Errorf("%s", with)
	}
	if q.String() != `a b "two words" actor:u` {
		t.Errorf("the question itself became %s", q)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`ada "two words" -x -"y z" action:a:*,b -meta."a.b".c:"x\"y" after:-7d`, `"`, `-`, `meta.`, `meta."`, `\*`, `a\\*`, `"a\`, "key:create", `id:,`, `user:x`, "\u2003x\u00a0", "é:\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		q, problems := Parse(typed, env)
		for _, p := range problems {
			if p.Start < 0 || p.End < p.Start || p.End > utf8.RuneCountInString(typed) || !strings.Contains(typed, p.Text) || p.Error() == "" {
				t.Errorf("%q: %+v", typed, p)
			}
		}
		for _, env := range []Env{env, {}} {
			again, problems := Parse(q.String(), env)
			if len(problems) > 0 || !reflect.DeepEqual(again, q) || again.String() != q.String() {
				t.Errorf("%q is %#v, prints as %q and is then %#v, %v", typed, q, q, again, problems)
			}
		}
	})
}
