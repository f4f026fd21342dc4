package cloudwatch

import (
	"fmt"
	"math"
	"time"
)

// Bounds of PutMetricData.
const (
	maxData       = 1000
	maxDimensions = 30
	maxValues     = 150
	maxPast       = 14 * 24 * time.Hour
	maxFuture     = 2 * time.Hour
)

// putMetricData checks the whole request before it keeps any of it.
func (s *Server) putMetricData(in putMetricDataInput) error {
	now := s.now()
	switch {
	case in.EntityMetricData != nil || in.StrictEntityValidation != nil:
		return validation("EntityMetricData and StrictEntityValidation are not served by this stand-in.")
	case in.Namespace == "":
		return missing("Namespace")
	case len(in.MetricData) == 0:
		return missing("MetricData")
	case len(in.MetricData) > maxData:
		return invalidValue(fmt.Sprintf("The collection MetricData must not have a size greater than %d.", maxData))
	}
	data := make([]datum, len(in.MetricData))
	for i, d := range in.MetricData {
		var err error
		if data[i], err = s.datum(d, now); err != nil {
			err.(*apiError).message = fmt.Sprintf("MetricData.member.%d: %s", i+1, err.(*apiError).message)
			return err
		}
	}
	for i, d := range in.MetricData {
		s.store.put(key(in.Namespace, d.MetricName, d.Dimensions), now, data[i])
	}
	return nil
}

// datum reads one published datum; its errors are *apiError.
func (s *Server) datum(d metricDatum, now time.Time) (datum, error) {
	out := datum{at: d.Timestamp.Time, arrived: now}
	if out.at.IsZero() {
		out.at = now
	}
	if d.MetricName == "" {
		return out, missing("MetricName")
	}
	if len(d.Dimensions) > maxDimensions {
		return out, invalidValue(fmt.Sprintf("The collection Dimensions must not have a size greater than %d.", maxDimensions))
	}
	if out.at.Before(now.Add(-maxPast)) || out.at.After(now.Add(maxFuture)) {
		return out, invalidValue("The parameter Timestamp must be no more than two weeks in the past and two hours in the future.")
	}
	switch d.StorageResolution {
	case 0, 60:
		out.at = out.at.Truncate(s.resolution)
	case 1:
		out.at = out.at.Truncate(time.Second)
	default:
		return out, invalidValue("The parameter StorageResolution must be 1 or 60.")
	}
	return out, out.read(d)
}

// read takes the values in whichever of the three ways they were published.
func (out *datum) read(d metricDatum) error {
	ways := 0
	if d.Value != nil {
		ways++
		out.values = []weighted{{*d.Value, 1}}
	}
	if len(d.Values) > 0 {
		ways++
		if len(d.Values) > maxValues || (len(d.Counts) > 0 && len(d.Counts) != len(d.Values)) {
			return invalidValue(fmt.Sprintf("The parameters Values and Counts must have one size of at most %d.", maxValues))
		}
		for i, v := range d.Values {
			n := 1.0
			if len(d.Counts) > 0 {
				n = d.Counts[i]
			}
			out.values = append(out.values, weighted{v, n})
		}
	}
	if set := d.StatisticValues; set != nil {
		ways++
		out.stats = statistics{set.Sum, set.SampleCount, set.Minimum, set.Maximum}
	}
	if ways != 1 {
		return &apiError{status: 400, code: "InvalidParameterCombinationException", query: "InvalidParameterCombination",
			message: "Exactly one of the parameters Value, Values and StatisticValues is expected."}
	}
	for _, v := range out.values {
		out.stats = out.stats.plus(statistics{v.value * v.count, v.count, v.value, v.value})
	}
	for _, v := range []float64{out.stats.sum, out.stats.count, out.stats.min, out.stats.max} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return invalidValue("The value is not a finite number.")
		}
	}
	return nil
}
