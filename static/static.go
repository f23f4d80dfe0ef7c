// Package static holds and serves what the pages load besides HTML: one stylesheet, one script of our
// own, htmx, and the icons.
package static

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
)

//go:embed css js htmx.min.js icons.svg
var parts embed.FS

// bundles are the files pages ask for and the parts they are made of, in order.
var bundles = map[string][]string{
	// The order of the cascade; within a layer the order is of no importance, so the folder of
	// components is taken whole and a new one needs no entry.
	"app.css": {
		"css/layers.css",
		"css/tokens.css",
		"css/reset.css",
		"css/base.css",
		"css/components/*.css",
		"css/utilities.css",
	},
	// One module: its parts see each other's names.
	"app.js":      {"js/app.js", "js/*.js", "js/log/*.js"},
	"htmx.min.js": {"htmx.min.js"},
	"icons.svg":   {"icons.svg"},
}

// bundle joins the files that match the patterns, each once.
func bundle(patterns []string) ([]byte, error) {
	var whole bytes.Buffer
	taken := map[string]bool{}
	for _, pattern := range patterns {
		matches, err := fs.Glob(parts, pattern) // sorted by name
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pattern, err)
		}
		if len(matches) == 0 {
			return nil, fmt.Errorf("there is no %s", pattern)
		}
		for _, part := range matches {
			if taken[part] {
				continue
			}
			taken[part] = true
			text, err := parts.ReadFile(part)
			if err != nil {
				return nil, err
			}
			whole.Write(withoutComments(part, text))
		}
	}
	return whole.Bytes(), nil
}

// comments of our own files, by extension: whole lines in scripts, where two slashes may also stand
// in a string.
var comments = map[string]*regexp.Regexp{
	".css": regexp.MustCompile(`(?s)/\*.*?\*/`),
	".js":  regexp.MustCompile(`(?m)^[ \t]*(//.*|/\*(?s:.*?)\*/)\n`),
}

// withoutComments is a file as browsers get it: what its comments say is for those who change it.
func withoutComments(name string, text []byte) []byte {
	if comment := comments[path.Ext(name)]; comment != nil {
		return comment.ReplaceAll(text, nil)
	}
	return text
}
