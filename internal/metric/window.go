package metric

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// A Span is one closed interval of a window, [From, To).
type Span struct {
	From, To time.Time
}

// MaxSpans is how many intervals one read may ask for. A day of 10 s intervals
// fits; a source that refuses more than 11,000 points is served.
const MaxSpans = 10_000

// Spans cuts the window into its intervals, in order. A rest that is shorter
// than Every is left for a later look. Errors are of kind fault.Invalid: Every
// is not positive, the window has more than [MaxSpans] intervals, or the bounds
// are not positive and rising.
func (w Window) Spans() ([]Span, error) {
	if w.Every <= 0 {
		return nil, fmt.Errorf("window: %w: an interval of %v; a positive one is expected", fault.Invalid, w.Every)
	}
	for i, b := range w.Bounds {
		if math.IsNaN(b) || math.IsInf(b, 0) || b <= 0 || i > 0 && b <= w.Bounds[i-1] {
			return nil, fmt.Errorf("window: %w: latency bounds %v; positive rising seconds are expected", fault.Invalid, w.Bounds)
		}
	}
	n := int64(w.To.Sub(w.From) / w.Every)
	if n > MaxSpans {
		return nil, fmt.Errorf("window: %w: %d intervals of %v; at most %d are expected", fault.Invalid, n, w.Every, MaxSpans)
	}
	spans := make([]Span, 0, max(n, 0))
	for from := w.From; int64(len(spans)) < n; from = from.Add(w.Every) {
		spans = append(spans, Span{From: from, To: from.Add(w.Every)})
	}
	return slices.Clip(spans), nil
}

// Window is what can be read at this moment of the time since the last look, or
// since the weight was seen in force: as many closed intervals as there are, at
// most so many, each of at least this length and of one that the source can
// tell. It is false where there is none yet; the first one can be read at next.
func (p Pace) Window(since, now time.Time, every time.Duration, most int) (w Window, next time.Time, ok bool) {
	if n := every / p.Every; n*p.Every < every {
		every = (n + 1) * p.Every
	}
	every = max(every, p.Every)
	if p.Grid > 0 {
		if from := since.Truncate(p.Grid); from.Before(since) {
			since = from.Add(p.Grid)
		}
	}
	n := min(int(now.Add(-p.Lag).Sub(since)/every), most)
	if n < 1 {
		return Window{From: since, To: since, Every: every}, since.Add(every + p.Lag), false
	}
	to := since.Add(time.Duration(n) * every)
	return Window{From: since, To: to, Every: every}, to.Add(every + p.Lag), true
}
