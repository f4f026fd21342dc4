package report

import (
	"bytes"
	_ "embed" // the page's template
	"fmt"
	"html/template"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/story"
)

//go:embed page.html.tmpl
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"percent": func(t analysis.Total) string {
		if t.Requests == 0 {
			return "none"
		}
		return fmt.Sprintf("%.2f %% of %d", 100*t.Rate(), t.Requests)
	},
	"number":  func(f float64) string { return fmt.Sprintf("%.3g", f) },
	"seconds": func(d time.Duration) string { return d.Round(time.Millisecond).String() },
	"utc":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"time":    func(t time.Time) string { return t.UTC().Format("15:04:05") },
}).Parse(pageText))

// A pageView is what the page shows.
type pageView struct {
	Report
	Charts []chart
	Took   string
	Good   bool
	Looks  []story.Moment
}

// HTML writes the page: one file that needs nothing else, light or dark as the reader's
// system is.
func (r Report) HTML() ([]byte, error) {
	v := pageView{Report: r, Charts: r.charts(), Good: r.Story.Outcome == "Promoted", Took: "running"}
	if !r.Story.Ended.IsZero() {
		v.Took = clock(r.Story.Ended.Sub(r.Story.Began))
	}
	for _, m := range r.Story.Moments {
		if m.Kind == story.Looked {
			v.Looks = append(v.Looks, m)
		}
	}
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("write page of %s: %w", r.Story.Name, err)
	}
	return b.Bytes(), nil
}
