package mesh

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// An httpMatch is a route's condition; all its parts must hold.
type httpMatch struct {
	Prefix          string       `json:"prefix"`
	Path            *valueMatch  `json:"path"`
	Method          string       `json:"method"`
	Scheme          string       `json:"scheme"`
	Port            *int         `json:"port"`
	Headers         []namedMatch `json:"headers"`
	QueryParameters []namedMatch `json:"queryParameters"`
}

type namedMatch struct {
	Name   string      `json:"name"`
	Match  *valueMatch `json:"match"` // nil: present
	Invert bool        `json:"invert"`
}

type valueMatch struct {
	Exact  *string `json:"exact"`
	Prefix *string `json:"prefix"`
	Suffix *string `json:"suffix"`
	Regex  *string `json:"regex"`
	Range  *struct {
		Start int64 `json:"start"`
		End   int64 `json:"end"`
	} `json:"range"`
}

// A condition is an httpMatch made ready.
type condition func(*http.Request) bool

func (m httpMatch) compile() (condition, error) {
	conditions := []condition{func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, m.Prefix) }}
	if m.Method != "" {
		conditions = append(conditions, func(r *http.Request) bool { return r.Method == m.Method })
	}
	if m.Scheme == "https" { // the bed speaks plain HTTP
		conditions = append(conditions, func(*http.Request) bool { return false })
	}
	if m.Path != nil {
		test, err := m.Path.compile()
		if err != nil {
			return nil, fmt.Errorf("path: %w", err)
		}
		conditions = append(conditions, func(r *http.Request) bool { return test(r.URL.Path) })
	}
	for _, h := range m.Headers {
		c, err := h.compile(func(r *http.Request) (string, bool) {
			v := r.Header.Values(h.Name)
			return strings.Join(v, ","), len(v) > 0
		})
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", h.Name, err)
		}
		conditions = append(conditions, c)
	}
	for _, q := range m.QueryParameters {
		c, err := q.compile(func(r *http.Request) (string, bool) { return r.URL.Query().Get(q.Name), r.URL.Query().Has(q.Name) })
		if err != nil {
			return nil, fmt.Errorf("query parameter %s: %w", q.Name, err)
		}
		conditions = append(conditions, c)
	}
	return func(r *http.Request) bool {
		for _, c := range conditions {
			if !c(r) {
				return false
			}
		}
		return true
	}, nil
}

// compile makes the condition; get reads the value and whether it is there.
func (n namedMatch) compile(get func(*http.Request) (string, bool)) (condition, error) {
	test := func(string) bool { return true }
	if n.Match != nil {
		var err error
		if test, err = n.Match.compile(); err != nil {
			return nil, err
		}
	}
	return func(r *http.Request) bool {
		v, there := get(r)
		return (there && test(v)) != n.Invert
	}, nil
}

func (m valueMatch) compile() (func(string) bool, error) {
	switch {
	case m.Exact != nil:
		return func(s string) bool { return s == *m.Exact }, nil
	case m.Prefix != nil:
		return func(s string) bool { return strings.HasPrefix(s, *m.Prefix) }, nil
	case m.Suffix != nil:
		return func(s string) bool { return strings.HasSuffix(s, *m.Suffix) }, nil
	case m.Regex != nil:
		re, err := regexp.Compile("^(?:" + *m.Regex + ")$")
		if err != nil {
			return nil, err
		}
		return re.MatchString, nil
	case m.Range != nil: // the end is not part of it
		return func(s string) bool {
			n, err := strconv.ParseInt(s, 10, 64)
			return err == nil && n >= m.Range.Start && n < m.Range.End
		}, nil
	}
	return nil, fmt.Errorf("expected one of exact, prefix, suffix, regex and range")
}

// rank orders routes of one priority: the more specific path first.
func (m httpMatch) rank() int {
	switch {
	case m.Path != nil && m.Path.Exact != nil:
		return 1 << 20
	case m.Path != nil:
		return 1 << 19
	}
	return len(m.Prefix)
}
