package prometheus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// An envelope is what every answer of the API is wrapped in.
type envelope struct {
	Status    string `json:"status"`
	ErrorType string `json:"errorType"`
	Error     string `json:"error"`
	// Warnings are the first of them. One without words is none.
	Warnings [8]string `json:"warnings"`
	Data     struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// data is the part of an answer that was asked for.
type data struct {
	// kind is matrix, vector, scalar or string.
	kind   string
	series []series
	scalar sample
}

// What an answer may hold. The smallest series is fourteen bytes, and takes many
// times as much when it is read, so the size in bytes bounds no memory.
const (
	// mostSeries is some thousand pods with a few codes or buckets each. With
	// labels as long as they are in life, no more fit into the largest answer.
	mostSeries = 20_000
	// mostLabels is how many labels one series may have.
	mostLabels = 1000
	// mostPoints is how many points a family's series may have on the grid.
	// They take 16 MB, and no answer of real samples is larger than half of them.
	mostPoints = 1 << 20
)

// A series has Values in a matrix, and Value in a vector.
type series struct {
	Metric labels   `json:"metric"`
	Values []sample `json:"values"`
	Value  *sample  `json:"value"`
}

type labels map[string]string

// UnmarshalJSON reads an object of strings.
func (l *labels) UnmarshalJSON(b []byte) error {
	if n := bytes.Count(b, []byte(`":`)); n > mostLabels {
		return fmt.Errorf("a series has %d labels; at most %d are expected", n, mostLabels)
	}
	return json.Unmarshal(b, (*map[string]string)(l))
}

// A sample is a pair of a moment in seconds and a number in a string.
type sample struct {
	at, value float64
}

// UnmarshalJSON reads [1700000000.123, "42"].
func (s *sample) UnmarshalJSON(b []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("a sample has %d parts; 2 are expected", len(pair))
	}
	var text string
	if err := errors.Join(json.Unmarshal(pair[0], &s.at), json.Unmarshal(pair[1], &text)); err != nil {
		return err
	}
	var err error
	// A range error comes with an infinity, which is no data further up.
	if s.value, err = strconv.ParseFloat(text, 64); err != nil && !errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("a sample's value is %q; a number is expected", text)
	}
	return nil
}

// list reads series one by one, so that it ends where there are too many.
func list(result []byte) ([]series, error) {
	d := json.NewDecoder(bytes.NewReader(result))
	switch t, err := d.Token(); {
	case err != nil:
		return nil, err
	case t == nil:
		return nil, nil
	case t != json.Delim('['):
		return nil, fmt.Errorf("found %v; a list of series is expected", t)
	}
	var out []series
	for d.More() {
		if len(out) == mostSeries {
			return nil, fmt.Errorf("more than %d series; at most so many are expected", mostSeries)
		}
		var s series
		if err := d.Decode(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// decode reads the body of a successful answer. What cannot be read is
// Transient: proxies in the way answer so while a source restarts.
func decode(body []byte, hidden secrets) (data, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return data{}, fmt.Errorf("%w: the source's answer is not JSON of the query API: %s", fault.Transient, hidden.short(err.Error()))
	}
	if e.Status != "success" {
		return data{}, fmt.Errorf("%w: the source answered %q: %s: %s", fault.Transient, hidden.short(e.Status), hidden.short(e.ErrorType), hidden.short(e.Error))
	}
	if warnings := strings.Trim(strings.Join(e.Warnings[:], "; "), "; "); warnings != "" {
		return data{}, fmt.Errorf("%w: the source answered in part only: %s", fault.Transient, hidden.short(warnings))
	}
	d := data{kind: e.Data.ResultType}
	var err error
	switch d.kind {
	case "matrix", "vector":
		d.series, err = list(e.Data.Result)
	case "scalar", "string":
		if d.kind == "scalar" {
			err = json.Unmarshal(e.Data.Result, &d.scalar)
		}
	default:
		err = fmt.Errorf("result type %q", d.kind)
	}
	if err != nil {
		return data{}, fmt.Errorf("read the source's answer: %w: %s", fault.Transient, hidden.short(err.Error()))
	}
	return d, nil
}
