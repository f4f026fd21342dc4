// Package cloudwatch is the meter for Amazon CloudWatch. It reads the raw sums
// of each minute for both versions in one GetMetricData call, and does every
// sum, gap and comparison in Go: metric math counts what is missing as zero.
//
// What each answer means:
//
//	a request point, no error point     no errors
//	no request point                    not Known, whatever else there is
//	NaN, an infinity, a negative        not Known
//	more errors than requests           not Known
//	Forbidden, AccessDenied             fault.Invalid
//	PartialData, InternalError          fault.Transient
//	throttling, 5xx, time-outs          fault.Transient, after the SDK's tries
//
// CloudWatch keeps minutes by the clock, so a window begins at the first whole
// minute that is not before its From. The newest minutes are still being
// written: the lag is two minutes unless set otherwise.
//
// Reference: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html.
package cloudwatch

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/queries"
)

// Period is the length of CloudWatch's points that the meter reads.
const Period = time.Minute

// DefaultLag is how old a minute must be before it is complete.
const DefaultLag = 2 * time.Minute

// getMetricData is the one call of the SDK's client that the meter makes.
type getMetricData interface {
	GetMetricData(context.Context, *cloudwatch.GetMetricDataInput, ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error)
}

// Options of a meter. Lag has a default.
type Options struct {
	Client  getMetricData
	Queries queries.CloudWatch
	// Lag is how old a minute must be before it is complete, DefaultLag if zero.
	Lag   time.Duration
	Clock clock.Clock
}

// A Meter reads CloudWatch in one account and region.
type Meter struct{ options Options }

var _ metric.Meter = (*Meter)(nil)
var _ metric.Unscoper = (*Meter)(nil)

// New is a meter with these options. It sends nothing.
func New(o Options) *Meter {
	o.Lag = PaceOf(o.Lag).Lag
	return &Meter{options: o}
}

// Unscoped says that the counts are those of all versions together, under the
// canary's name, so that nothing can be compared.
func (m *Meter) Unscoped() bool { return m.options.Queries.Unscoped }

// PaceOf is a minute, so late or by DefaultLag if zero. Numbers belong to the minute in which they
// were counted, but a minute begins with what was on its way.
func PaceOf(lag time.Duration) metric.Pace {
	if lag <= 0 {
		lag = DefaultLag
	}
	return metric.Pace{Every: Period, Lag: lag, Grid: Period, Settle: Period}
}

// Pace is a minute.
func (m *Meter) Pace() metric.Pace { return PaceOf(m.options.Lag) }

// Intervals reads whole minutes.
func (m *Meter) Intervals(ctx context.Context, s metric.Subject, w metric.Window) ([]analysis.Interval, error) {
	if err := queries.Check(s); err != nil {
		return nil, err
	}
	if w.Every%Period != 0 {
		return nil, fmt.Errorf("window: %w: an interval of %v; whole minutes are expected", fault.Invalid, w.Every)
	}
	if from := w.From.Truncate(Period); from.Before(w.From) {
		w.From = from.Add(Period)
	}
	spans, err := w.Spans()
	if err != nil {
		return nil, err
	}
	if n := len(spans) * int(w.Every/Period); n > metric.MaxSpans {
		return nil, fmt.Errorf("window: %w: %d minutes; at most %d are expected", fault.Invalid, n, metric.MaxSpans)
	}
	if len(spans) == 0 {
		return nil, nil
	}
	p, err := m.plan(s, w.Bounds)
	if err != nil {
		return nil, err
	}
	answer, err := m.read(ctx, p.queries, w.From, spans[len(spans)-1].To)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.Service, err)
	}
	closed := m.options.Clock.Now().Add(-m.options.Lag)
	out := make([]analysis.Interval, len(spans))
	for i, span := range spans {
		out[i] = analysis.Interval{From: span.From, To: span.To}
		if !span.To.After(closed) {
			out[i].Canary = p.canary.counts(answer, span)
			out[i].Stable = p.stable.counts(answer, span)
		}
	}
	return out, nil
}

// A plan is what to ask for, and which answer is for what.
type plan struct {
	queries        []types.MetricDataQuery
	canary, stable ids
}

// ids are the identifiers of one version's series.
type ids struct {
	requests, errors, slow, timed []string
}

func (m *Meter) plan(s metric.Subject, bounds []float64) (plan, error) {
	var p plan
	var err error
	if p.canary, err = m.ask(&p, s, s.Canary, bounds); err != nil || s.Stable == "" || m.options.Queries.Unscoped {
		return p, err
	}
	p.stable, err = m.ask(&p, s, s.Stable, bounds)
	return p, err
}

func (m *Meter) ask(p *plan, s metric.Subject, version string, bounds []float64) (ids, error) {
	stats, err := m.options.Queries.Version(s, version, bounds)
	if err != nil {
		return ids{}, err
	}
	add := func(list []queries.Stat) []string {
		var added []string
		for _, stat := range list {
			id := fmt.Sprintf("q%d", len(p.queries))
			added = append(added, id)
			p.queries = append(p.queries, query(id, stat))
		}
		return added
	}
	return ids{requests: add(stats.Requests), errors: add(stats.Errors), slow: add(stats.Slow), timed: add(stats.Timed)}, nil
}

func query(id string, s queries.Stat) types.MetricDataQuery {
	q := types.MetricDataQuery{
		Id: aws.String(id), ReturnData: aws.Bool(true),
		MetricStat: &types.MetricStat{
			Metric: &types.Metric{Namespace: aws.String(s.Namespace), MetricName: aws.String(s.Metric)},
			Period: aws.Int32(int32(Period / time.Second)), Stat: aws.String(s.Stat),
		},
	}
	for _, d := range s.Sorted() {
		q.MetricStat.Metric.Dimensions = append(q.MetricStat.Metric.Dimensions, types.Dimension{Name: aws.String(d[0]), Value: aws.String(d[1])})
	}
	return q
}
