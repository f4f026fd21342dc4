package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// A Problem is one thing wrong with an input, where it is, and what would be right.
type Problem struct {
	// File is the input's name as it was given.
	File string `json:"file"`
	// Line and Column count from 1; 0 where the input has no such place.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Path is the field, such as steps[1].weight; empty for the whole document.
	Path string `json:"path,omitempty"`
	// Found is what stands there, and Want what is expected instead; Want is empty
	// where Found says all.
	Found string `json:"found"`
	Want  string `json:"want,omitempty"`
}

// String is `file:line:column: field: found X, expected Y`, on one line of text that moves no cursor, whatever the input holds.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	if p.Want == "" {
		b.WriteString(p.Found)
	} else {
		fmt.Fprintf(&b, "found %s, expected %s", p.Found, p.Want)
	}
	return Visible(b.String())
}

// Visible gives text with an escape, such as \n or \u202e, for every character that a terminal or a pipeline's log would obey and not
// show: new lines, control characters, those that turn the direction of text.
func Visible(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if one := text[:size]; unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			b.WriteString(one)
		} else {
			quoted := strconv.Quote(one)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return b.String()
}

// Errors are all the problems found, in the input's order. They are of the kind
// fault.Invalid.
type Errors []Problem

// Error gives one problem a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap tells the kind.
func (e Errors) Unwrap() error { return fault.Invalid }

// err is nil where there is no problem, and else the problems in order, each
// place once: the first complaint about a value is the one that helps.
func (e Errors) err() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	kept := slices.CompactFunc(e, func(a, b Problem) bool {
		return a == b || a.Path != "" && a.Path == b.Path && a.Line == b.Line && a.Column == b.Column
	})
	if more := len(kept) - maxProblems; more > 0 {
		last := kept[maxProblems-1]
		kept = append(kept[:maxProblems:maxProblems], Problem{File: last.File, Found: fmt.Sprintf("and %d more", more)})
	}
	return kept
}

// maxProblems bounds what one look at a hostile input can print.
const maxProblems = 50
