package asl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// A written is an array or an object that is its text until somebody looks
// inside. Most of a rollout's document goes through a state untouched: it is
// found by its first and last byte, and copied as it stands.
type written struct {
	text    string
	compact bool // without blanks, as encode writes
	value   any  // once it was opened
}

// compacted is JSON without its blanks, as a value's text may go on. Members stay in their order.
func compacted(text string) (string, error) {
	var b bytes.Buffer
	b.Grow(len(text))
	if err := json.Compact(&b, []byte(strings.ToValidUTF8(text, "\ufffd"))); err != nil {
		return "", err
	}
	return b.String(), nil
}

// read is the value of a text that is known to be JSON.
func read(text string, compact bool) any {
	switch first := strings.TrimLeft(text, " \t\r\n")[0]; {
	case first == '{', first == '[':
		return &written{text: text, compact: compact}
	case !compact:
		return mustDecode(text)
	case first == '"':
		return unquote(text)
	case first == 't':
		return true
	case first == 'f':
		return false
	case first == 'n':
		return nil
	}
	return json.Number(text)
}

// mustDecode decodes a text that was checked when it was stored.
func mustDecode(text string) any {
	v, err := decode(text)
	if err != nil {
		panic(fmt.Sprintf("asl: stored value: %v", err))
	}
	return v
}

// open is the array or the object itself where v is its text. What is in it may be text again.
func open(v any) any {
	if w, ok := v.(*written); ok {
		return w.open()
	}
	return v
}

// whole is v with nothing in it left as text.
func whole(v any) any {
	switch v := open(v).(type) {
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = whole(x)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = whole(x)
		}
		return out
	default:
		return v
	}
}

func (w *written) open() any {
	switch {
	case w.value != nil:
	case !w.compact:
		w.value = mustDecode(w.text)
	case w.text[0] == '[':
		w.value = elements(w.text)
	default:
		w.value = members(w.text)
	}
	return w.value
}

// elements takes a compact array apart.
func elements(text string) []any {
	out := []any{}
	for i := 1; i < len(text)-1; i++ { // over the bracket or the comma
		end := skip(text, i)
		out = append(out, read(text[i:end], true))
		i = end
	}
	return out
}

// members takes a compact object apart.
func members(text string) map[string]any {
	out := map[string]any{}
	for i := 1; i < len(text)-1; i++ { // over the brace or the comma
		colon := skip(text, i)
		end := skip(text, colon+1)
		out[unquote(text[i:colon])] = read(text[colon+1:end], true)
		i = end
	}
	return out
}

// skip finds the end of the value that begins at i in a compact text.
func skip(text string, i int) int {
	for depth := 0; ; i++ {
		switch text[i] {
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case '"':
			i = closing(text, i)
		case ',', ':':
			continue
		default:
			for strings.IndexByte(",]}", text[i+1]) < 0 {
				i++
			}
		}
		if depth == 0 {
			return i + 1
		}
	}
}

// closing finds the quote that ends the string beginning at i.
func closing(text string, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i
}

// unquote reads a string.
func unquote(text string) string {
	if inner := text[1 : len(text)-1]; strings.IndexByte(inner, '\\') < 0 {
		return inner
	}
	return mustDecode(text).(string)
}
