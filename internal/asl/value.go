package asl

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// Values are nil, bool, string, json.Number, []any and map[string]any. Numbers
// keep their text, so that 0.0 goes through a machine as 0.0. An array or an
// object may also be *written: its text, until somebody looks inside.

// MaxData is the most bytes that an input, an output or a result may have.
const MaxData = 256 * 1024

func decode(data string) (any, error) {
	d := json.NewDecoder(strings.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

// typeName is what AWS calls the kind of a value.
func typeName(v any) string {
	switch open(v).(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// equal compares two values as JSON: numbers by their value.
func equal(a, b any) bool {
	a, b = open(a), open(b)
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && compareNumbers(a, b) == 0
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, x := range a {
			if y, ok := b[k]; !ok || !equal(x, y) {
				return false
			}
		}
		return true
	}
	return a == b
}

// compareNumbers is negative, zero or positive as a is below, equal to or above b.
func compareNumbers(a, b json.Number) int {
	i, errA := a.Int64()
	j, errB := b.Int64()
	if errA == nil && errB == nil {
		switch {
		case i < j:
			return -1
		case i > j:
			return 1
		}
		return 0
	}
	x, _ := a.Float64()
	y, _ := b.Float64()
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// integer reads a number without a fraction; 3.0 is one.
func integer(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	if i, err := n.Int64(); err == nil {
		return i, true
	}
	f, err := n.Float64()
	if err != nil || f != float64(int64(f)) || strings.ContainsAny(n.String(), "eE") && (f > 1e15 || f < -1e15) {
		return 0, false
	}
	return int64(f), true
}
