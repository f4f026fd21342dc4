package asl

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A written is an array or an object that is its text until somebody looks
// inside. Most of a rollout's document goes through a state untouched: it is
// found by its first and last byte, and copied as it stands.
type written struct {
	text  string
	ours  bool // encode wrote it, and would write it so again
	value any  // once it was opened
}

// read is the value of a text that is known to be JSON.
func read(text string, ours bool) any {
	switch first := strings.TrimLeft(text, " \t\r\n")[0]; {
	case first == '{', first == '[':
		return &written{text: text, ours: ours}
	case !ours:
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

func (w *written) open() any {
	switch {
	case w.value != nil:
	case !w.ours:
		w.value = mustDecode(w.text)
	case w.text[0] == '[':
		w.value = elements(w.text)
	default:
		w.value = members(w.text)
	}
	return w.value
}

// elements takes an array apart that encode wrote.
func elements(text string) []any {
	out := []any{}
	for i := 1; i < len(text)-1; i++ { // over the bracket or the comma
		end := skip(text, i)
		out = append(out, read(text[i:end], true))
		i = end
	}
	return out
}

// members takes an object apart that encode wrote.
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

// skip finds the end of the value that begins at i, in what encode wrote.
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

// unquote reads a string that encode wrote.
func unquote(text string) string {
	if inner := text[1 : len(text)-1]; strings.IndexByte(inner, '\\') < 0 {
		return inner
	}
	return mustDecode(text).(string)
}
