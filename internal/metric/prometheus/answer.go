package prometheus

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// An envelope is what every answer of the API is wrapped in.
type envelope struct {
	Status    string   `json:"status"`
	ErrorType string   `json:"errorType"`
	Error     string   `json:"error"`
	Warnings  []string `json:"warnings"`
	Data      struct {
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

// A series has Values in a matrix, and Value in a vector.
type series struct {
	Metric map[string]string `json:"metric"`
	Values []sample          `json:"values"`
	Value  *sample           `json:"value"`
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
	if len(e.Warnings) > 0 {
		return data{}, fmt.Errorf("%w: the source answered in part only: %s", fault.Transient, hidden.short(strings.Join(e.Warnings, "; ")))
	}
	d := data{kind: e.Data.ResultType}
	var err error
	switch d.kind {
	case "matrix", "vector":
		err = json.Unmarshal(e.Data.Result, &d.series)
	case "scalar", "string":
		if d.kind == "scalar" {
			err = json.Unmarshal(e.Data.Result, &d.scalar)
		}
	default:
		err = fmt.Errorf("result type %q", d.kind)
	}
	if err != nil {
		return data{}, fmt.Errorf("%w: the source's answer is not a result of the query API: %s", fault.Transient, hidden.short(err.Error()))
	}
	return d, nil
}
