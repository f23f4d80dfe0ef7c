// Package views holds the templates: a page and its fragments in one file, parts shared by several
// pages in shared.
package views

import "embed"

// Files are the templates, by path.
//
//go:embed *
var Files embed.FS
