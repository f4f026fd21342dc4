package bed

import (
	"os/exec"
	"testing"
	"time"
)

// TestClaimedPlaceIsGivenBack hands a copy of the listener to another process,
// as the bed does with its guard, and closes it while Accept waits.
func TestClaimedPlaceIsGivenBack(t *testing.T) {
	p, err := claim(127)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := p.file()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("true")
	cmd.ExtraFiles = append(cmd.ExtraFiles, copied)
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	copied.Close()
	if err := p.unblock(); err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 1)
	go func() {
		_, err := p.listener.Accept()
		accepted <- err
	}()
	time.Sleep(50 * time.Millisecond) // until Accept waits
	go p.listener.Close()             // blocks, too, when Accept cannot be ended
	select {
	case err := <-accepted:
		if err == nil {
			t.Error("accepted a connection that nobody made")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Accept still waits after Close")
	}
}
