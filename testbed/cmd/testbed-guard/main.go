// Command testbed-guard cleans up after a bed; the bed starts it.
package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/stepcanary/stepcanary/testbed/guard"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testbed-guard:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("want a mark, whether to remove the directory, and the directory; got %q", args)
	}
	remove, err := strconv.ParseBool(args[1])
	if err != nil {
		return err
	}
	return guard.Run(os.Stdin, args[0], remove, args[2])
}
