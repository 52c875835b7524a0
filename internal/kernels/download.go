package kernels

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// statusFD is the descriptor on which apt-get tells how far it is (APT::Status-Fd in its README.progress-reporting).
const statusFD = 3

// watched runs apt-get so that report gets each new whole percent of what it downloads.
func watched(cmd *exec.Cmd, report func(percent int)) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		w.Close()
		return err
	}
	w.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		readStatus(r, report)
	}()
	err = cmd.Wait()
	_ = r.SetReadDeadline(time.Now()) // a child of apt-get may still hold the pipe
	<-read
	return err
}

// readStatus reads lines such as "dlstatus:1:12.5000:Retrieving file 1 of 2".
func readStatus(r io.Reader, report func(percent int)) {
	lines := bufio.NewScanner(r)
	for last := -1; lines.Scan(); {
		words := strings.SplitN(lines.Text(), ":", 4)
		if len(words) < 4 || words[0] != "dlstatus" {
			continue
		}
		if percent, err := strconv.ParseFloat(words[2], 64); err == nil && int(percent) > last && percent <= 100 {
			last = int(percent)
			report(last)
		}
	}
}

// size is how many bytes are to be downloaded; 0 where a package does not say.
func (l packageList) size() int64 {
	var sum int64
	for _, p := range l {
		n, err := strconv.ParseInt(p.size, 10, 64)
		if err != nil {
			return 0
		}
		sum += n
	}
	return sum
}

// sayDownload reports how far the download of all packages is.
func (f fetch) sayDownload(list packageList) func(percent int) {
	total := float64(list.size()) / 1e6
	return func(percent int) {
		f.say("download %s: %.1f of %.1f MB (%d %%)", list[0].name, total*float64(percent)/100, total, percent)
	}
}

// statusOption makes apt-get tell.
func statusOption() string { return fmt.Sprintf("APT::Status-Fd %q;\n", strconv.Itoa(statusFD)) }
