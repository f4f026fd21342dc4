package layout

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAddressesOfABedDoNotMeet(t *testing.T) {
	for _, l := range []*Layout{{Net: 127, Block: 64}, {Net: 10, Block: 127}} {
		services := netip.MustParsePrefix(l.ServiceCIDR())
		own := netip.MustParseAddr(l.Address())
		if !services.Contains(netip.MustParseAddr(l.KubernetesService())) || services.Contains(own) {
			t.Errorf("services at %v, the kubernetes one at %s, the bed at %v", services, l.KubernetesService(), own)
		}
		seen := map[netip.Addr]int{}
		for n := range 32_000 {
			pod, err := netip.ParseAddr(l.PodAddress(n))
			if err != nil {
				t.Fatal(err)
			}
			before, taken := seen[pod]
			if taken || pod == own || services.Contains(pod) || pod.As4()[0] != own.As4()[0] || pod.As4()[1] != own.As4()[1] {
				t.Fatalf("pod %d at %v, where pod %d, the bed or a service is, or outside of the block", n, pod, before)
			}
			seen[pod] = n
		}
	}
}

func TestLayoutComesBackFromItsFile(t *testing.T) {
	want := &Layout{Dir: t.TempDir(), ID: "1-2", Net: 127, Block: 70, APIPort: 6443, Audit: true, Images: "/images"}
	if err := want.Save(); err != nil {
		t.Fatal(err)
	}
	got, err := Load(want.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("layout (-saved +loaded):\n%s", diff)
	}
	if l, err := Load(t.TempDir()); err == nil {
		t.Errorf("load from an empty directory: %+v, want an error", l)
	}
}
