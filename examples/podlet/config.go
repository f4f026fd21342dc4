package main

import (
	"flag"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"time"
)

// A config is what the environment and the command line asked for.
type config struct {
	version     string
	role        role
	listen      string // address, complete with host where POD_IP gave one
	adminListen string // empty: /admin is served beside the users' endpoints
	text        string
	status      int // of the users' answers in the roles web, podinfo and http-echo
	backend     *url.URL
	backendHost string // Host header sent to the back end; empty: the URL's own
	dbAddr      string
	cacheAddr   string
	drain       time.Duration
	hostname    string
	fault       fault
	start       startFault
}

// parseConfig reads the program's name, its flags and its environment. Flags win.
func parseConfig(args []string, env func(string) string) (config, error) {
	c := config{version: or(env("VERSION"), "dev"), adminListen: env("ADMIN_LISTEN"), hostname: or(env("HOSTNAME"), "localhost"),
		backendHost: env("BACKEND_HOST"), dbAddr: env("DB_ADDR"), cacheAddr: env("CACHE_ADDR")}
	flags := flag.NewFlagSet("podlet", flag.ContinueOnError)
	listen := flags.String("listen", env("LISTEN"), "address to listen on (LISTEN)")
	port := flags.Int("port", 0, "port to listen on; --listen wins")
	status := flags.Int("status-code", 0, "status of users' answers (STATUS, default 200)")
	backend := flags.String("backend-url", env("BACKEND_URL"), "back end called for /api/ (BACKEND_URL)")
	flags.StringVar(&c.text, "text", env("TEXT"), "text of users' answers (TEXT)")
	roleName := flags.String("role", or(env("ROLE"), roleOf(filepath.Base(args[0]))), "web, ui, appserver, db, redis, podinfo or http-echo (ROLE)")
	if err := flags.Parse(args[1:]); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("argument %q: expected flags only", flags.Arg(0))
	}
	var ok bool
	if c.role, ok = roles[*roleName]; !ok {
		return c, fmt.Errorf("role: found %q, expected web, ui, appserver, db, redis, podinfo or http-echo", *roleName)
	}
	if *listen == "" && *port != 0 {
		*listen = ":" + strconv.Itoa(*port)
	}
	if err := c.readFaults(env); err != nil {
		return c, err
	}
	for _, read := range []func() error{
		func() error { return c.readStatus(*status, env("STATUS")) },
		func() error { return c.readDrain(env("DRAIN")) },
		func() error { return c.readBackend(*backend) },
		func() error { return c.readListen(*listen, env("POD_IP")) },
	} {
		if err := read(); err != nil {
			return c, err
		}
	}
	return c, nil
}

func or(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// readFaults takes the faults from FAULT, or else from the version's tag.
func (c *config) readFaults(env func(string) string) (err error) {
	if words := env("FAULT"); words != "" {
		if c.fault, c.start, err = parseFaults(words); err != nil {
			return fmt.Errorf("FAULT: %w", err)
		}
		return c.fault.suits(c.role)
	}
	if c.fault, c.start, err = faultsInTag(c.version); err != nil {
		return err
	}
	return c.fault.suits(c.role)
}

func (c *config) readStatus(flag int, env string) error {
	c.status = 200
	if env != "" {
		n, err := strconv.Atoi(env)
		if err != nil {
			return fmt.Errorf("STATUS: %w", err)
		}
		c.status = n
	}
	if flag != 0 {
		c.status = flag
	}
	if c.status < 200 || c.status > 599 {
		return fmt.Errorf("status: found %d, expected 200 to 599", c.status)
	}
	return nil
}

func (c *config) readDrain(env string) error {
	d, err := time.ParseDuration(or(env, "2s"))
	if err != nil {
		return fmt.Errorf("DRAIN: %w", err)
	}
	if d < 0 {
		return fmt.Errorf("DRAIN: found %v, expected 0s or more", d)
	}
	c.drain = d
	return nil
}

func (c *config) readBackend(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil {
		return fmt.Errorf("BACKEND_URL: %w", err)
	}
	if u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("BACKEND_URL: found %q, expected http://HOST:PORT", s)
	}
	c.backend = u
	return nil
}

// readListen completes the address with POD_IP: pods of the test bed are
// processes of one machine, told apart by their loopback addresses.
func (c *config) readListen(addr, podIP string) error {
	host, port, err := net.SplitHostPort(or(addr, ":"+strconv.Itoa(c.role.port)))
	if err != nil {
		return fmt.Errorf("LISTEN: %w", err)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("LISTEN: found port %q, expected 0 to 65535", port)
	}
	if c.start.WrongPort {
		n++
	}
	c.listen = net.JoinHostPort(or(host, podIP), strconv.Itoa(n))
	if c.adminListen != "" {
		host, port, err := net.SplitHostPort(c.adminListen)
		if err != nil {
			return fmt.Errorf("ADMIN_LISTEN: %w", err)
		}
		c.adminListen = net.JoinHostPort(or(host, podIP), port)
	}
	return nil
}
