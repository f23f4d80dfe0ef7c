package importer

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/auditlogs/auditlogs/views"
)

// quiet is the time between two lines of a report that is no terminal.
const quiet = 10 * time.Second

// progress shows how far an import is: as a bar on a terminal, elsewhere as a line now and then.
type progress struct {
	out   io.Writer
	bar   *progressbar.ProgressBar // nil where out is no terminal
	began time.Time
	said  time.Time
}

func newProgress(out io.Writer, size int64) *progress {
	p := &progress{out: out, began: time.Now(), said: time.Now()}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		if size == 0 {
			size = -1 // a spinner
		}
		p.bar = progressbar.NewOptions64(size,
			progressbar.OptionSetWriter(out),
			progressbar.OptionShowDescriptionAtLineEnd(),
			progressbar.OptionSetWidth(24),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine
			progressbar.OptionClearOnFinish(),
			progressbar.OptionSetTheme(progressbar.Theme{Saucer: "█", SaucerPadding: "░", BarStart: "", BarEnd: ""}),
		)
	}
	return p
}

// at shows that the given bytes and lines of the history are done.
func (p *progress) at(bytes int64, lines int) {
	text := fmt.Sprintf("%s, %s a second", views.Count(lines, "line", "lines"), views.Number(int(float64(lines)/max(time.Since(p.began).Seconds(), 1))))
	switch {
	case p.bar != nil:
		p.bar.Describe(text)
		_ = p.bar.Set64(bytes) // it cannot draw on the terminal: nothing to be done
	case time.Since(p.said) >= quiet:
		p.said = time.Now()
		fmt.Fprintln(p.out, text)
	}
}

// say prints a line above the bar.
func (p *progress) say(format string, values ...any) {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	fmt.Fprintf(p.out, format+"\n", values...)
}

// end removes the bar.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
