package main

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
)

// fillProgress shows how far the filling of a log is; nothing where it is filled already.
func fillProgress(database string, rows int) (progress func(done int), done func()) {
	var bar *progressbar.ProgressBar
	progress = func(done int) {
		if bar == nil {
			bar = progressbar.NewOptions(rows,
				progressbar.OptionSetDescription("filling "+database),
				progressbar.OptionSetWriter(os.Stderr),
				progressbar.OptionShowCount(),
				progressbar.OptionThrottle(200*time.Millisecond),
				progressbar.OptionSetWidth(24))
		}
		_ = bar.Set(done)
	}
	return progress, func() {
		if bar != nil {
			_ = bar.Finish()
			_, _ = os.Stderr.WriteString("\n")
		}
	}
}
