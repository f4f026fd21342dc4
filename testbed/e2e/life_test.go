package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/testbed/bed"
	"github.com/stepcanary/stepcanary/testbed/layout"
)

// leftovers are the processes, listeners, directories and mounts of a bed. A
// process that has ended and was not waited for by
// its new parent does not count: it holds nothing.
func leftovers(l *layout.Layout) []string {
	var found []string
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environments {
		if environ, err := os.ReadFile(path); err == nil && bytes.Contains(environ, []byte(layout.EnvID+"="+l.ID+"\x00")) {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			found = append(found, fmt.Sprintf("process %s %q", filepath.Base(filepath.Dir(path)), command))
		}
	}
	sockets, _ := os.ReadFile("/proc/net/tcp")
	own := ownSockets()
	for line := range strings.SplitSeq(string(sockets), "\n") {
		f := strings.Fields(line)
		// Local address as little-endian hexadecimal, state 0A for LISTEN, and
		// the inode. Only this process's own listeners count: the others' end
		// with their processes, and a new bed may have the block already.
		if len(f) > 9 && own[f[9]] && f[3] == "0A" && strings.HasSuffix(strings.Split(f[1], ":")[0], fmt.Sprintf("%02X%02X", l.Block, l.Net)) {
			found = append(found, "listener "+f[1])
		}
	}
	if _, err := os.Stat(l.Dir); !os.IsNotExist(err) {
		found = append(found, "directory "+l.Dir)
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	if strings.Contains(string(mounts), l.Dir) {
		found = append(found, "mount below "+l.Dir)
	}
	return found
}

// ownSockets are the inodes of this process's sockets.
func ownSockets() map[string]bool {
	own := map[string]bool{}
	files, _ := filepath.Glob("/proc/self/fd/*")
	for _, f := range files {
		if link, err := os.Readlink(f); err == nil && strings.HasPrefix(link, "socket:[") {
			own[strings.Trim(link[len("socket:"):], "[]")] = true
		}
	}
	return own
}

func nothingLeft(t *testing.T, l *layout.Layout) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		if left := leftovers(l); len(left) > 0 {
			return fmt.Errorf("left behind: %s", strings.Join(left, "; "))
		}
		return nil
	})
}

// aBed starts a bed for one test.
func aBed(t *testing.T) *bed.Bed {
	t.Helper()
	b, err := bed.Start(t.Context(), bed.Options{Programs: programs})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTenBedsInARowLeaveNothing(t *testing.T) {
	files := openFiles(t)
	for i := range 10 {
		b := aBed(t)
		if len(leftovers(b.Layout)) < 5 {
			t.Fatal("a running bed has fewer than five processes, listeners and directories: this test looks in the wrong place")
		}
		if err := b.Stop(); err != nil {
			t.Fatalf("stop bed %d: %v", i, err)
		}
		nothingLeft(t, b.Layout)
	}
	eventually(t, 10*time.Second, func() error {
		if now := openFiles(t); now > files+5 {
			return fmt.Errorf("%d files open, %d before", now, files)
		}
		return nil
	})
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestThreeBedsAtOnce(t *testing.T) {
	var group sync.WaitGroup
	beds := make([]*bed.Bed, 3)
	for i := range beds {
		group.Go(func() {
			b, err := bed.Start(context.Background(), bed.Options{Programs: programs})
			if err != nil {
				t.Error(err)
			}
			beds[i] = b
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	blocks := map[int]bool{shared.Block: true}
	for _, b := range beds {
		if blocks[b.Block] {
			t.Errorf("two beds at block %d", b.Block)
		}
		blocks[b.Block] = true
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
		nothingLeft(t, b.Layout)
	}
}

// startCommand starts testbed run with a shell command, and gives the bed's
// layout, which the command prints, once it runs.
func startCommand(t *testing.T, script string, flags ...string) (*exec.Cmd, *layout.Layout, io.Reader) {
	t.Helper()
	args := append(append([]string{"run"}, flags...), "--", "sh", "-c", "echo $TESTBED_DIR; "+script)
	cmd := exec.Command(filepath.Join(programs, "testbed"), args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	reader := bufio.NewReader(out)
	dir, err := reader.ReadString('\n')
	if err != nil {
		t.Fatalf("the command never ran: %v", err)
	}
	l, err := layout.Load(strings.TrimSpace(dir))
	if err != nil {
		t.Fatal(err)
	}
	return cmd, l, reader
}

// A slip of the keyboard costs no start of a bed.
func TestWhatCannotRunIsRefusedFirst(t *testing.T) {
	for want, args := range map[string][]string{
		"run: no command":                             {"run"},
		"executable file not found":                   {"run", "--", "no-such-command"},
		`run: unexpected ["web"]; flags alone`:        {"run", "web", "--", "true"},
		`up: unexpected ["web"]; flags alone`:         {"up", "web"},
		"flag provided but not defined: -no-such-one": {"run", "--no-such-one", "--", "true"},
	} {
		out, err := exec.Command(filepath.Join(programs, "testbed"), args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "apiserver") {
			t.Errorf("testbed %s: %v, %s; want %q, and no bed", strings.Join(args, " "), err, out, want)
		}
	}
}

func TestKilledBedLeavesNothing(t *testing.T) {
	// A pod that starts a process in a session of its own, which ends neither
	// with its parent nor with its group.
	path, err := kubectlPath()
	if err != nil {
		t.Fatal(err)
	}
	cmd, l, out := startCommand(t, `kubectl() { `+path+` "$@"; }
cat <<'EOF' | kubectl apply -f - >/dev/null
apiVersion: v1
kind: Pod
metadata: {name: forks}
spec: {containers: [{name: app, image: podlet, command: [sh, -c, "setsid sleep 1000 & exec sleep 1001"]}]}
EOF
kubectl wait --for=condition=Ready pod/forks --timeout=30s >/dev/null; setsid sleep 1002 & echo up; sleep 1000`)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "up\n" {
		t.Fatalf("command printed %q, %v; want up", line, err)
	}
	if left := strings.Join(leftovers(l), "\n"); !strings.Contains(left, "1000") || !strings.Contains(left, "1002") {
		t.Fatalf("running: %s; want the pod's child and the command's too", left)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	nothingLeft(t, l)
}

func TestRunGivesTheCommandsExitCodeAndCleansUp(t *testing.T) {
	cmd, l, _ := startCommand(t, `sleep 1000 & exit 7`)
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("testbed run ended with %v, want exit code 7", err)
	}
	nothingLeft(t, l)
}

func TestTerminatedBedCleansUp(t *testing.T) {
	cmd, l, _ := startCommand(t, `exec sleep 1000`)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("testbed run ended with exit code 0, want that of a command ended by a signal")
	}
	nothingLeft(t, l)
}

func TestFailedStartNamesThePartAndItsLog(t *testing.T) {
	// A Prometheus that cannot run: the directory has everything else.
	broken := t.TempDir()
	for _, program := range []string{"testbed", "testbed-guard", "traefik"} {
		if err := os.Symlink(filepath.Join(programs, program), filepath.Join(broken, program)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(broken, "prometheus"), []byte("#!/bin/sh\necho no such luck\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "bed")
	_, err := bed.Start(t.Context(), bed.Options{Programs: broken, Dir: dir})
	log := filepath.Join(dir, "logs", "prometheus.log")
	if err == nil || !strings.Contains(err.Error(), "prometheus") || !strings.Contains(err.Error(), log) {
		t.Fatalf("start: %v; want an error that names prometheus and %s", err, log)
	}
	if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), "no such luck") {
		t.Errorf("log %q, %v; want what prometheus printed", text, err)
	}
}

func TestPartsCanBeKilledAndStarted(t *testing.T) {
	b := aBed(t)
	defer func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	}()
	answers := map[string]string{
		layout.Gateway:    strings.TrimPrefix(b.GatewayURL(), "http://"),
		layout.Prometheus: strings.TrimPrefix(b.PrometheusURL(), "http://"),
		layout.APIServer:  b.HostPort(b.APIPort),
	}
	for part, address := range answers {
		if err := b.Control(part, bed.ActionKill); err != nil {
			t.Fatal(err)
		}
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			t.Errorf("%s still listens after it was killed", part)
		}
		if err := b.Control(part, bed.ActionStart); err != nil {
			t.Fatal(err)
		}
		listens(t, address)
	}
	// A part that dies by itself comes back.
	for _, p := range b.Status().Parts {
		if p.Name == layout.Gateway {
			if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
			listens(t, answers[layout.Gateway])
		}
	}
	if err := b.Control("engine", bed.ActionKill); err == nil || !strings.Contains(err.Error(), layout.Gateway) {
		t.Errorf("kill an unknown part: %v, want an error that lists the known ones", err)
	}
}

func listens(t *testing.T, address string) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err
	})
}
