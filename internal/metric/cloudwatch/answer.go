package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
)

// pages bounds how often an answer may go on.
const pages = 50

// A table is the points by series and minute. What is no count is NaN.
type table map[string]map[time.Time]float64

// read asks for all series of both versions, page by page.
func (m *Meter) read(ctx context.Context, ask []types.MetricDataQuery, from, to time.Time) (table, error) {
	in := &cloudwatch.GetMetricDataInput{
		MetricDataQueries: ask, StartTime: &from, EndTime: &to, // CloudWatch leaves EndTime itself out
		ScanBy: types.ScanByTimestampAscending,
	}
	answer, last := table{}, map[string]types.MetricDataResult{}
	for range pages {
		out, err := m.options.Client.GetMetricData(ctx, in)
		if err != nil {
			return nil, failure(err)
		}
		if len(out.Messages) > 0 {
			return nil, fmt.Errorf("%w: CloudWatch answered in part: %s", fault.Transient, words(out.Messages))
		}
		for _, r := range out.MetricDataResults {
			if err := answer.add(r); err != nil {
				return nil, err
			}
			last[aws.ToString(r.Id)] = r
		}
		if aws.ToString(out.NextToken) == "" {
			return answer, complete(ask, last)
		}
		in.NextToken = out.NextToken
	}
	return nil, fmt.Errorf("%w: CloudWatch's answer has more than %d pages", fault.Transient, pages)
}

// complete tells whether every series was answered to its end.
func complete(ask []types.MetricDataQuery, last map[string]types.MetricDataResult) error {
	for _, q := range ask {
		id := aws.ToString(q.Id)
		r, ok := last[id]
		name := aws.ToString(q.MetricStat.Metric.MetricName)
		switch {
		case !ok:
			return fmt.Errorf("metric %s: %w: CloudWatch did not answer for it", name, fault.Transient)
		case r.StatusCode == types.StatusCodeForbidden:
			return fmt.Errorf("metric %s: %w: CloudWatch answered Forbidden: %s", name, fault.Invalid, words(r.Messages))
		case r.StatusCode != types.StatusCodeComplete:
			return fmt.Errorf("metric %s: %w: CloudWatch answered %s: %s", name, fault.Transient, r.StatusCode, words(r.Messages))
		}
	}
	return nil
}

func (t table) add(r types.MetricDataResult) error {
	id := aws.ToString(r.Id)
	if len(r.Timestamps) != len(r.Values) {
		return fmt.Errorf("%w: CloudWatch answered %d moments with %d values", fault.Transient, len(r.Timestamps), len(r.Values))
	}
	if t[id] == nil {
		t[id] = map[time.Time]float64{}
	}
	for i, at := range r.Timestamps {
		v := r.Values[i]
		at = at.UTC()
		if _, twice := t[id][at]; twice || math.IsInf(v, 0) || v < 0 {
			v = math.NaN()
		}
		t[id][at] = v
	}
	return nil
}

// most is the largest count that is believed in one interval.
const most = 1e12

// counts adds up the minutes of an interval. Each must have its requests.
func (v ids) counts(t table, span metric.Span) analysis.Counts {
	minutes := int(span.To.Sub(span.From) / Period)
	requests, seen := t.sum(v.requests, span)
	failed, _ := t.sum(v.errors, span)
	if len(v.requests) == 0 || seen < minutes || !(requests <= most) || !(failed <= requests) {
		return analysis.Counts{}
	}
	c := analysis.Counts{Requests: int64(math.Round(requests)), Errors: int64(math.Round(failed)), Known: true}
	if _, timed := t.sum(v.timed, span); len(v.timed) == 0 || timed == 0 && c.Requests > 0 {
		return c
	}
	for _, id := range v.slow {
		n, _ := t.sum([]string{id}, span)
		if math.IsNaN(n) {
			c.Slow = nil
			return c
		}
		c.Slow = append(c.Slow, min(int64(math.Round(n)), c.Requests))
	}
	return c
}

// sum adds up several series over an interval, and tells in how many minutes
// any of them had a point.
func (t table) sum(series []string, span metric.Span) (sum float64, minutes int) {
	for at := span.From.UTC(); at.Before(span.To); at = at.Add(Period) {
		any := false
		for _, id := range series {
			if v, ok := t[id][at]; ok {
				sum += v
				any = true
			}
		}
		if any {
			minutes++
		}
	}
	return sum, minutes
}

func words(messages []types.MessageData) string {
	var out []string
	for _, m := range messages {
		out = append(out, aws.ToString(m.Code)+": "+aws.ToString(m.Value))
	}
	text := []rune(strings.Join(out, "; "))
	return string(text[:min(len(text), 300)])
}

// throttled are the codes by which AWS asks a client to come again.
var throttled = []string{
	"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
	"RequestLimitExceeded", "TooManyRequestsException", "LimitExceededException", "LimitExceededFault", "SlowDown",
	"RequestTimeout", "RequestTimeoutException",
}

// failure gives an error of the SDK its kind. What the service says is the
// client's fault has a status below 500, whether the SDK knows the code or not.
func failure(err error) error {
	kind := fault.Transient
	var api smithy.APIError
	var response *smithyhttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &response) {
		return fmt.Errorf("%w: %w", kind, err)
	}
	if status := response.HTTPStatusCode(); status >= 400 && status < 500 && status != http.StatusTooManyRequests &&
		!slices.Contains(throttled, api.ErrorCode()) {
		kind = fault.Invalid
	}
	if strings.Contains(api.ErrorCode(), "Signature") {
		// Its message repeats the request, with the session's token.
		return fmt.Errorf("%w: CloudWatch answered %s", kind, api.ErrorCode())
	}
	return fmt.Errorf("%w: %w", kind, err)
}
