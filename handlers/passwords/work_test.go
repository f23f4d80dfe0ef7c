package passwords

import (
	"runtime"
	"strings"
	"testing"
)

// What the estimator does grows faster than the password, which is why it sees the beginning only: of the
// whole of these it allocates 7 to 24 MB, and works for up to 1.5 s.
func TestALongPasswordTakesLittleWork(t *testing.T) {
	_ = check(t.Context(), "once, to read the lists", nil)
	for _, password := range []string{
		strings.Repeat("4@8({[</369&#!1/|0$5+7%2/", 8), strings.Repeat("a", 200), strings.Repeat("1990112233", 20),
		strings.Repeat("4@8({[</369&#!1/|0$5+7%2/", 40), strings.Repeat("a", 1000), strings.Repeat("ä", 500),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = check(t.Context(), password, nil)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
			t.Errorf("%.10s… of %d bytes takes %d bytes of memory", password, len(password), used)
		}
	}
}
