package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"rambox/internal/netboot"
	"rambox/internal/timings"
)

const (
	statusPatience = 10 * time.Second
	maxStatus      = 1 << 30 // bytes: 131,072 machines with long reports
)

// stateFlag is the directory of the state. systemd names the one that it has
// made (systemd.exec(5), StateDirectory=).
func stateFlag(f *pflag.FlagSet, state *string) {
	dir := serveState
	if s := os.Getenv("STATE_DIRECTORY"); s != "" {
		dir = s
	}
	f.StringVar(state, "state", dir, "directory of the leases and of what is known of the machines")
}

func serveStatusCommand() *cobra.Command {
	var state, url string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "List the machines of rambox serve, and how far they are",
		Long: `Status lists the machines that rambox serve has heard of: seen, leased (an address), loading, booted (its system is up, or its program has
ended well), running (its program), crashed; and how long its last boot took, if it has reported that (rambox.report=). It asks the server that runs with
the same --state, or the one at --url, and reads the database when none runs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			ctx, cancel := context.WithTimeout(ctx, statusPatience)
			defer cancel()
			machines, err := askStatus(ctx, state, url)
			if err != nil {
				return err
			}
			return printStatus(os.Stdout, machines, time.Now())
		},
	}
	stateFlag(cmd.Flags(), &state)
	cmd.Flags().StringVar(&url, "url", "", "server to ask, such as http://10.0.0.1:8080")
	cmd.MarkFlagsMutuallyExclusive("state", "url")
	return cmd
}

// askStatus asks the server, or reads what it has left.
func askStatus(ctx context.Context, state, url string) ([]netboot.MachineStatus, error) {
	transport := &http.Transport{}
	if url == "" {
		socket := filepath.Join(state, netboot.StatusSocket)
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}
	}
	base := url
	if url == "" {
		base = "http://rambox"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+"/status", nil)
	if err != nil {
		return nil, err
	}
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if url == "" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED)) {
		return storedStatus(state)
	}
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxStatus))
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status: %s: %s", answer.Status, strings.TrimSpace(string(body[:min(len(body), 200)])))
	}
	var machines []netboot.MachineStatus
	if err := json.Unmarshal(body, &machines); err != nil {
		return nil, fmt.Errorf("status: %s: not an answer of rambox serve: %w", base, err)
	}
	return machines, nil
}

// storedStatus reads the database of a server that does not run.
func storedStatus(state string) ([]netboot.MachineStatus, error) {
	file := filepath.Join(state, netboot.StateFile)
	if _, err := os.Stat(file); err != nil {
		return nil, fmt.Errorf("%w; name the directory with --state, or a server with --url", err)
	}
	store, err := netboot.OpenBolt(file)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	machines, err := netboot.LoadMachines(store)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "rambox: no server runs with %s; this is what the last one knew\n", state)
	return machines.Summaries(), nil
}

func printStatus(out io.Writer, machines []netboot.MachineStatus, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "STATE\tFOR\tHOSTNAME\tADDRESS\tMAC\tARCH\tLAST BOOT\tDETAIL")
	for _, m := range machines {
		addr := "-"
		if m.Addr.IsValid() {
			addr = m.Addr.String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.State, age(now.Sub(m.Since)), orDash(m.Hostname), addr, m.MAC, m.Arch,
			bootTimes(m.Boot), orDash(m.Detail))
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// age is a time in its largest unit: "3d", "12s".
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%dd", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", max(d, 0)/time.Second)
}

// bootTimes says how long a boot took, from the kernel's start to the program:
// "0.605s (kernel 0.512, modules 0.030, network 0.061)".
func bootTimes(boot []byte) string {
	g, err := timings.ParseGuest(boot)
	if err != nil {
		return "-"
	}
	seconds := func(s timings.Seconds) string { return fmt.Sprintf("%.3f", time.Duration(s).Seconds()) }
	total, parts := g.Now, []string{"kernel " + seconds(g.Init)}
	for _, s := range g.Stages {
		switch {
		case s.Name == "handoff" || s.Name == "payload":
			total = min(total, s.Start)
		case s.End != nil && time.Duration(*s.End-s.Start) >= time.Millisecond:
			parts = append(parts, s.Name+" "+seconds(*s.End-s.Start))
		}
	}
	return fmt.Sprintf("%ss (%s)", seconds(total), strings.Join(parts, ", "))
}
