// Package static holds and serves what the pages load besides HTML: one stylesheet, one script of our
// own, htmx, and the icons.
package static

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"

	"github.com/tdewolff/minify/v2"
	"github.com/tdewolff/minify/v2/css"
	"github.com/tdewolff/minify/v2/js"
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
	// To add an icon, copy the elements of its SVG into a symbol of its name.
	"icons.svg": {"icons.svg"},
}

// bundle joins the files that match the patterns, each once, and makes our own short.
func bundle(name string, patterns []string) ([]byte, error) {
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
			whole.Write(text)
		}
	}
	return minified(name, whole.Bytes())
}

// minified is a bundle as browsers get it: comments and long names are for those who change it.
func minified(name string, text []byte) ([]byte, error) {
	switch name {
	case "app.css":
		return minifier.Bytes("css", text)
	case "app.js":
		return minifier.Bytes("js", text)
	}
	return text, nil
}

var minifier = func() *minify.M {
	m := minify.New()
	m.AddFunc("css", css.Minify)
	m.AddFunc("js", js.Minify)
	return m
}()
