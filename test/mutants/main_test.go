package main

import (
	"path/filepath"
	"testing"
)

// Every line of the table names a place that is there: a breakage that cannot be made any more
// would be noticed only when somebody runs them all.
func TestEveryMutantCanBeMade(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range table {
		if _, err := m.apply(filepath.Join(root, filepath.FromSlash(m.File))); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}
