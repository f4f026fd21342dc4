//go:build linux

// Package netns gives a bed a network of its own, in which its addresses are
// ordinary ones and not loopback's: nothing of Kubernetes needs to be relaxed
// there, and nothing outside can reach the bed.
package netns

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// inside is the environment variable that tells the program that it runs in
// the network that Run made for it.
const inside = "TESTBED_NETWORK_NAMESPACE"

// Inside reports whether this program runs in a network of its own.
func Inside() bool { return os.Getenv(inside) != "" }

// Run runs this program again, with the same arguments, in a network namespace
// of its own, and gives its exit code. A user other than root gets a user
// namespace too, in which they may set the network up; some distributions do
// not let them.
func Run() (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	// Ctrl-C reaches the other one by itself; SIGTERM is passed on.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("make a network namespace: %w", err)
	}
	go func() {
		for s := range signals {
			if s == syscall.SIGTERM {
				_ = cmd.Process.Signal(s) // fails only when it has ended
			}
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}

// Up brings the namespace's loopback interface up and makes every address of
// the network local: on this interface Linux answers for a whole prefix.
func Up(network *net.IPNet) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, step := range []struct {
		name      string
		label     string
		operation uint
		set       func(*unix.Ifreq) error
	}{
		{"bring lo up", "lo", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP); return nil }},
		{"set the address", "lo:bed", unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(network.IP.To4()) }},
		{"set the netmask", "lo:bed", unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(network.Mask) }},
	} {
		request, err := unix.NewIfreq(step.label)
		if err == nil {
			err = step.set(request)
		}
		if err == nil {
			err = unix.IoctlIfreq(fd, step.operation, request)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}
