package asl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"
)

// encode writes v compactly, with sorted keys, and leaves <, > and & alone: as
// encoding/json would, but for what is compact text already, which is copied.
func encode(v any) string {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	*b = appendValue((*b)[:0], v)
	return string(*b)
}

// buffers have grown to what is usual.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendString(b, v)
	case json.Number:
		return append(b, v...)
	case *written:
		if v.compact {
			return append(b, v.text...)
		}
		return appendValue(b, v.open())
	case []any:
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, x)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		keys := make([]string, 0, 16) // on the stack, for most objects
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, k), ':')
			b = appendValue(b, v[k])
		}
		return append(b, '}')
	}
	return appendOther(b, v)
}

// appendString writes a string; the few that need escapes are left to encoding/json.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return appendOther(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendOther(b []byte, v any) []byte {
	var w bytes.Buffer
	e := json.NewEncoder(&w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("asl: encode a decoded value: %v", err)) // only a bug can put another type in
	}
	return append(b, bytes.TrimSuffix(w.Bytes(), []byte("\n"))...)
}
