package report

import (
	"bytes"
	_ "embed" // the page's template
	"fmt"
	"html/template"
	"time"

	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/story"
)

//go:embed page.html.tmpl
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"percent": total,
	"number":  number,
	"utc":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"time":    func(t time.Time) string { return t.UTC().Format("15:04:05") },
}).Parse(pageText))

// A pageView is what the page shows.
type pageView struct {
	Report
	Charts []chart
	Took   string
	Good   bool
	Looks  []lookView
	// Refused tells that the rollout ended before anything was changed.
	Refused bool
}

// HTML writes the page: one file that needs nothing else, light or dark as the reader's
// system is.
func (r Report) HTML() ([]byte, error) {
	v := pageView{
		Report: r, Charts: r.charts(), Took: "running",
		Good: r.Story.Outcome == step.OutcomePromoted, Refused: r.Story.Outcome == step.OutcomeRefused,
	}
	if !r.Story.Ended.IsZero() {
		v.Took = clock(r.Story.Ended.Sub(r.Story.Began))
	}
	for _, m := range r.Story.Moments {
		if m.Kind == story.Looked {
			look := lookView{Moment: m}
			if m.Judgement != nil {
				look.Rows = r.rows(m.Judgement.Measures)
			}
			v.Looks = append(v.Looks, look)
		}
	}
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("write page of %s: %w", r.Story.Name, err)
	}
	return b.Bytes(), nil
}
