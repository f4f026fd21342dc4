package cloudwatch

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Bounds of GetMetricData.
const (
	maxQueries    = 500
	maxDatapoints = 100_800
)

var idPattern = regexp.MustCompile(`^[a-z][a-zA-Z0-9_]{0,254}$`)

// getMetricData answers with raw series.
func (s *Server) getMetricData(in getMetricDataInput) (getMetricDataOutput, error) {
	out := getMetricDataOutput{MetricDataResults: []metricDataResult{}, Messages: []message{}}
	if err := in.check(); err != nil {
		return out, err
	}
	for _, q := range in.MetricDataQueries {
		if q.ReturnData != nil && !*q.ReturnData {
			continue
		}
		out.MetricDataResults = append(out.MetricDataResults, s.series(q, in))
	}
	return out.page(in)
}

// check is the service's own validation. What the service would do and the
// stand-in cannot is refused here too.
func (in getMetricDataInput) check() error {
	switch {
	case in.StartTime.IsZero():
		return missing("StartTime")
	case in.EndTime.IsZero():
		return missing("EndTime")
	case !in.StartTime.Before(in.EndTime.Time):
		return validation("The parameter StartTime must be less than the parameter EndTime.")
	case len(in.MetricDataQueries) == 0:
		return missing("MetricDataQueries")
	case len(in.MetricDataQueries) > maxQueries:
		return validation(fmt.Sprintf("The collection MetricDataQueries must not have a size greater than %d.", maxQueries))
	case in.LabelOptions != nil:
		return validation("LabelOptions is not served by this stand-in.")
	case in.MaxDatapoints < 0 || in.MaxDatapoints > maxDatapoints:
		return validation(fmt.Sprintf("The parameter MaxDatapoints must be from 1 to %d.", maxDatapoints))
	case !slices.Contains([]string{"", "TimestampAscending", "TimestampDescending"}, in.ScanBy):
		return validation("The parameter ScanBy must be TimestampAscending or TimestampDescending.")
	}
	ids := map[string]bool{}
	for i, q := range in.MetricDataQueries {
		if err := q.check(); err != nil {
			return validation(fmt.Sprintf("MetricDataQueries.member.%d: %v", i+1, err))
		}
		if ids[q.Id] {
			return validation(fmt.Sprintf("The values for parameter id in MetricDataQueries are not unique: %q.", q.Id))
		}
		ids[q.Id] = true
	}
	return nil
}

func (q metricDataQuery) check() error {
	switch {
	case !idPattern.MatchString(q.Id):
		return fmt.Errorf("id %q must begin with a lower-case letter and hold letters, digits and underscores", q.Id)
	case q.Expression != "":
		return fmt.Errorf("expression %q: this stand-in serves raw series only", q.Expression)
	case q.AccountId != nil || q.Period != nil:
		return fmt.Errorf("id %q: AccountId and Period are not served by this stand-in", q.Id)
	case q.MetricStat == nil:
		return fmt.Errorf("id %q: MetricStat is required", q.Id)
	case q.MetricStat.Unit != "":
		return fmt.Errorf("unit %q: this stand-in does not select by unit", q.MetricStat.Unit)
	case q.MetricStat.Metric.Namespace == "" || q.MetricStat.Metric.MetricName == "":
		return fmt.Errorf("id %q: namespace and metric name are required", q.Id)
	}
	p := q.MetricStat.Period
	if p <= 0 || (p%60 != 0 && !slices.Contains([]int{1, 5, 10, 20, 30}, p)) {
		return fmt.Errorf("period %d must be 1, 5, 10, 20, 30 or a multiple of 60", p)
	}
	if !served(q.MetricStat.Stat) {
		return fmt.Errorf("statistic %q is not known here", q.MetricStat.Stat)
	}
	return nil
}

// series reads one query's series. A metric that nobody published is an empty
// series, not an error.
func (s *Server) series(q metricDataQuery, in getMetricDataInput) metricDataResult {
	m := q.MetricStat.Metric
	period := time.Duration(q.MetricStat.Period) * time.Second
	points := s.store.read(key(m.Namespace, m.MetricName, m.Dimensions), reading{
		stat: q.MetricStat.Stat, period: period,
		start: in.StartTime.Truncate(min(period, time.Minute)), end: in.EndTime.Time,
		seen: s.now().Add(-s.delay()),
	})
	r := metricDataResult{Id: q.Id, Label: q.Label, StatusCode: "Complete",
		Timestamps: []stamp{}, Values: []float64{}, Messages: []message{}}
	if r.Label == "" {
		r.Label = m.MetricName
	}
	if in.ScanBy != "TimestampAscending" {
		slices.Reverse(points)
	}
	for _, p := range points {
		r.Timestamps = append(r.Timestamps, stamp{p.at.UTC()})
		r.Values = append(r.Values, p.value)
	}
	return r
}

// page cuts the answer to MaxDatapoints points, from the one that NextToken names.
// A series that goes on has the status PartialData.
func (out getMetricDataOutput) page(in getMetricDataInput) (getMetricDataOutput, error) {
	skip, room := 0, in.MaxDatapoints
	if room == 0 {
		room = maxDatapoints
	}
	if in.NextToken != "" {
		var err error
		if skip, err = strconv.Atoi(in.NextToken); err != nil || skip < 1 {
			return out, &apiError{status: 400, code: "InvalidNextToken", message: "The next token specified is invalid."}
		}
	}
	next := skip + room
	for i := range out.MetricDataResults {
		r := &out.MetricDataResults[i]
		from := min(skip, len(r.Values))
		to := min(from+room, len(r.Values))
		if to < len(r.Values) {
			r.StatusCode = "PartialData"
			out.NextToken = strconv.Itoa(next)
		}
		skip, room = skip-from, room-(to-from)
		r.Timestamps, r.Values = r.Timestamps[from:to], r.Values[from:to]
	}
	return out, nil
}
