package views

import (
	"strings"

	"github.com/mileusna/useragent"
)

// ClientInWords names the program a user agent stands for: "Chrome 142 on macOS", "curl 8.5.0".
// It is a guess for people; the whole user agent is always shown with it.
func ClientInWords(userAgent string) string {
	agent := useragent.Parse(userAgent)
	if agent.Name == "" {
		return ""
	}
	words := agent.Name
	if version := agent.Version; version != "" {
		if agent.OS != "" { // a browser: its minor versions say nothing, and most are made up
			version, _, _ = strings.Cut(version, ".")
		}
		words += " " + version
	}
	switch {
	case agent.Device != "" && agent.OS != "" && agent.Device != agent.OS:
		words += " on " + agent.Device + " (" + agent.OS + ")"
	case agent.OS != "":
		words += " on " + agent.OS
	}
	return words
}
