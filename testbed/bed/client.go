package bed

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Find lists the directories of the running beds that live in the temporary
// directory and belong to this user.
func Find() ([]string, error) {
	sockets, err := filepath.Glob(filepath.Join(os.TempDir(), "testbed-*", "control.sock"))
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, s := range sockets {
		conn, err := net.Dial("unix", s)
		if err != nil {
			continue // a bed that is gone, or somebody else's
		}
		conn.Close()
		dirs = append(dirs, filepath.Dir(s))
	}
	return dirs, nil
}

// Ask asks the bed that lives in dir for its status.
func Ask(ctx context.Context, dir string) (Status, error) {
	var s Status
	body, err := call(ctx, dir, http.MethodGet, "status")
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	if err != nil {
		return s, fmt.Errorf("ask the bed in %s: %w", dir, err)
	}
	return s, nil
}

// Act makes the bed that lives in dir stop or start a part, as Bed.Control.
func Act(ctx context.Context, dir, part, action string) error {
	if _, err := call(ctx, dir, http.MethodPost, "parts/"+part+"/"+action); err != nil {
		return fmt.Errorf("%s %s: %w", action, part, err)
	}
	return nil
}

func call(ctx context.Context, dir, method, path string) ([]byte, error) {
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "control.sock"))
		},
		DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(ctx, method, "http://bed/"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", strings.TrimSpace(string(body)))
	}
	return body, err
}
