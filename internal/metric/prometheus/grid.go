package prometheus

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
)

// A grid is the moments at which counters are read: the ends of the window's
// intervals, and some before them, by which a new series is told from one that
// comes back.
type grid struct {
	start  time.Time
	step   time.Duration
	points int
	// first is the point at which the window begins.
	first int
	spans []metric.Span
}

// history is at least how far back a series is looked for.
const history = 30 * time.Second

func newGrid(w metric.Window) (grid, error) {
	if w.Every%time.Millisecond != 0 {
		return grid{}, fmt.Errorf("window: %w: an interval of %v; whole milliseconds are expected", fault.Invalid, w.Every)
	}
	spans, err := w.Spans()
	if err != nil || len(spans) == 0 {
		return grid{}, err
	}
	before := max(10, int(math.Ceil(history.Seconds()/w.Every.Seconds())))
	// A fraction of a millisecond would be lost on the way: round up, so that
	// nothing from before the window is counted.
	from := w.From.Add(time.Millisecond - 1).Truncate(time.Millisecond)
	return grid{
		start: from.Add(-time.Duration(before) * w.Every), step: w.Every,
		points: before + len(spans) + 1, first: before, spans: spans,
	}, nil
}

// seconds writes a moment as the API reads it.
func seconds(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}

// tracks puts an answer's series on the grid. A point beside it is an error,
// because the source then answered another question.
func (g grid) tracks(d data) ([]track, error) {
	if d.kind != "matrix" {
		return nil, fmt.Errorf("%w: the source answered a %s; a matrix is expected", fault.Transient, d.kind)
	}
	if n := len(d.series); n*g.points > mostPoints {
		return nil, fmt.Errorf("%w: the source answered with %d series at %d moments; at most %d points are expected", fault.Transient, n, g.points, mostPoints)
	}
	tracks := make([]track, 0, len(d.series))
	for _, s := range d.series {
		t := track{labels: s.Metric, points: make([]point, g.points)}
		for _, v := range s.Values {
			at := (v.at - float64(g.start.UnixMilli())/1000) / g.step.Seconds()
			i := math.Round(at)
			if !(math.Abs(at-i)*g.step.Seconds() < 0.002) || i < 0 || i >= float64(g.points) {
				return nil, fmt.Errorf("%w: the source answered for %.3f, which was not asked for; query_range must not be aligned to its step",
					fault.Invalid, v.at)
			}
			t.points[int(i)] = pointOf(v.value)
		}
		tracks = append(tracks, t)
	}
	return tracks, nil
}
