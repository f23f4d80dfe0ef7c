package views

import "testing"

func TestClientsInWords(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                   "Chrome 142 on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1": "Safari 17 on iPhone (iOS)",
		"Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0":                                                                  "Firefox 133 on Linux",
		"curl/8.5.0":         "curl 8.5.0",
		"Go-http-client/1.1": "Go-http-client 1.1",
		"":                   "",
	} {
		if got := ClientInWords(agent); got != want {
			t.Errorf("%q reads %q, want %q", agent, got, want)
		}
	}
}
