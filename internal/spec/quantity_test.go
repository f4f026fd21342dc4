package spec

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
)

// What we take for an amount is what Kubernetes takes for one, but for amounts without a digit: it
// reads "Gi" as nothing, and whoever wrote it meant something.
func TestQuantitiesAreReadAsKubernetesDoes(t *testing.T) {
	taken, refused := 0, 0
	for _, sign := range []string{"", "+", "-", "--"} {
		for _, number := range []string{"", "0", "1", "12", "1.5", ".5", "5.", ".", "1.2.3", "1,5", "half", "٣"} {
			for _, suffix := range []string{"", "m", "u", "n", "k", "K", "Ki", "M", "Mi", "mi", "G", "Gi", "T", "Ti", "P", "Pi", "E", "Ei", "e", "e3", "E3", "e-3", "E+3", "e1.5", "B", " Mi", "\n"} {
				text := sign + number + suffix
				_, err := resource.ParseQuantity(text)
				want := err == nil && number != "" && number != "."
				if got := formats["quantity"](text); got != want {
					t.Errorf("%q: taken %v; Kubernetes says %v", text, got, err)
				}
				if want {
					taken++
				} else {
					refused++
				}
			}
		}
	}
	if taken < 100 || refused < 100 {
		t.Errorf("%d amounts and %d that are none were compared", taken, refused)
	}
}
