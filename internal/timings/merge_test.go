package timings

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestKernelMarks(t *testing.T) {
	const us = time.Microsecond
	for _, tt := range []struct {
		name, log string
		want      Marks
	}{
		{"nothing", "", Marks{}},
		{
			"as it is",
			"6,273,1712979,-;Trying to unpack rootfs image as initramfs...\n6,281,1924448,-,caller=T1;Freeing initrd memory: 5336K\n6,332,3167321,-;Run /init as init process",
			Marks{at(1712979 * us), at(1924448 * us), at(3167321 * us)},
		},
		{"without CONFIG_BLK_DEV_RAM", "6,1,10,-;Unpacking initramfs...\n6,2,20,-;Freeing initrd memory: 1K", Marks{at(10 * us), at(20 * us), nil}},
		{"no begin", "6,2,20,-;Freeing initrd memory: 1K", Marks{}},
		{"no end: retain_initrd", "6,1,10,-;Unpacking initramfs...", Marks{}},
		{"the end before the begin", "6,1,10,-;Freeing initrd memory: 1K\n6,2,20,-;Unpacking initramfs...", Marks{}},
		{"another init", "6,2,20,-;Run /bin/sh as init process", Marks{nil, nil, at(20 * us)}},
		{"a program's words", "14,2,20,-;Run /init as init process\n12,2,20,-;Unpacking initramfs...", Marks{}},
		{"the first counts", "6,2,20,-;Run /init as init process\n6,3,30,-;Run /sbin/init as init process", Marks{nil, nil, at(20 * us)}},
		{"records that are none", "x\n6,2;a\n6,2,-3,-;Run /init as init process\n,,,;\n6,2,99999999999999999999,-;Run /init as init process", Marks{}},
		{"a longer message", "6,2,20,-;I say: Run /init as init process", Marks{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, KernelMarks(strings.Split(tt.log, "\n"))); diff != "" {
				t.Errorf("KernelMarks (-want +got):\n%s", diff)
			}
		})
	}
}

// names are the bars in the order of the chart.
func names(tl Timeline) string {
	var words []string
	for _, b := range tl.Bars {
		word := b.Name
		if b.Failed {
			word += "!"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func TestMerge(t *testing.T) {
	stage := func(name string, from, to float64) Stage {
		s := Stage{Name: name, Span: Span{Start: Seconds(from * 1e9)}}
		if to >= 0 {
			s.End = at(time.Duration(to * 1e9))
		}
		return s
	}
	wait := func(name string, from, to float64) Wait { return Wait{For: name, Span: stage("", from, to).Span} }
	module := func(name string, from, to float64) Module { return Module{Name: name, Span: stage("", from, to).Span} }
	second := Seconds(time.Second)
	for _, tt := range []struct {
		name    string
		host    Host
		marks   Marks
		guest   Guest
		want    string
		total   float64
		program float64
	}{
		{
			name: "in order", host: Host{PowerOn: powerOn, Arrived: after(10), Gone: after(11)},
			marks: Marks{RunInit: at(2 * time.Second)},
			guest: Guest{
				Init: 3 * second, Now: 9 * second,
				Stages:  []Stage{stage("payload", 7, 8), stage("modules", 4, 5), stage("early", 3, 4), stage("network", 4.5, 6), stage("handoff", 6, 7)},
				Waits:   []Wait{wait("the link", 6.1, 6.5), wait("a device", 4.6, 4.7)},
				Modules: []Module{module("b", 6.4, 6.8), module("a", 4.1, 4.2)},
			},
			want: "firmware, kernel, start of init, early, modules, a device, a, b, network, handoff, the link, payload, shutdown", total: 11, program: 8,
		},
		{
			name: "waits between stages", host: Host{PowerOn: powerOn, Arrived: after(10), Gone: after(10)},
			guest: Guest{
				Init: second, Now: 10 * second,
				Stages: []Stage{stage("network", 1, 5), stage("ports", 2, 3), stage("handoff", 7, 10)},
				Waits:  []Wait{wait("nothing", 0.5, 0.6), wait("ports", 2.5, 3), wait("the network", 4, 5), wait("a device", 6, 7)},
			},
			want: "kernel, network, the network, ports, ports, a device, handoff, nothing", total: 10, program: -1,
		},
		{
			name: "the failing stage", host: Host{PowerOn: powerOn, Arrived: after(10), Gone: after(10), Failure: "no root"},
			guest: Guest{Init: second, Now: 10 * second, Stages: []Stage{stage("root", 1, -1), stage("network", 2, -1)}},
			want:  "kernel, root!, network", total: 10, program: -1,
		},
		{
			name: "no stage is open", host: Host{PowerOn: powerOn, Arrived: after(10), Gone: after(10), Failure: "no program"},
			guest: Guest{Init: second, Now: 10 * second, Stages: []Stage{{Name: "network", Error: "no link", Span: stage("", 1, 2).Span}, stage("ports", 2, 3), stage("handoff", 3, 4)}},
			want:  "kernel, network!, ports, handoff!", total: 10, program: -1,
		},
		{
			name: "the network alone fails", host: Host{PowerOn: powerOn, Arrived: after(10), Gone: after(10), Failure: "no link"},
			guest: Guest{Init: second, Now: 10 * second, Stages: []Stage{stage("network", 2, -1)}},
			want:  "kernel, network!", total: 10, program: -1,
		},
		{
			name: "a stage that says so itself", host: Host{PowerOn: powerOn, Arrived: after(10), Gone: after(10), Failure: "no root"},
			guest: Guest{Init: second, Now: 10 * second, Stages: []Stage{{Name: "root", Error: "no root", Span: stage("", 1, 9).Span}, stage("x", 9, -1)}},
			want:  "kernel, root!, x", total: 10, program: -1,
		},
		{
			name: "the network goes on", host: Host{PowerOn: powerOn, Arrived: after(10), Gone: after(10)},
			guest: Guest{Init: second, Now: 10 * second, Stages: []Stage{stage("network", 2, -1), stage("payload", 3, 10)}},
			want:  "kernel, network, payload", total: 10, program: 3,
		},
		{
			name: "a guest's clock ahead of the host's", host: Host{PowerOn: powerOn, Arrived: after(5), Gone: after(6)},
			guest: Guest{Init: second, Now: 10 * second},
			want:  "kernel", total: 10, program: -1,
		},
		{
			name: "the log's clock ahead of init's", host: Host{PowerOn: powerOn, Arrived: after(10), Gone: after(10)},
			marks: Marks{RunInit: at(1001 * time.Millisecond)},
			guest: Guest{Init: second, Now: 10 * second},
			want:  "kernel", total: 10, program: -1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tl := Merge(tt.host, tt.marks, tt.guest)
			if got := names(tl); got != tt.want {
				t.Errorf("bars %s\nwant %s", got, tt.want)
			}
			if want := Seconds(tt.total * 1e9); tl.Total != want {
				t.Errorf("total %v, want %v", tl.Total, want)
			}
			if (tl.Program != nil) != (tt.program >= 0) || tl.Program != nil && *tl.Program != Seconds(tt.program*1e9) {
				t.Errorf("program at %v, want %v", tl.Program, tt.program)
			}
		})
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.00 ms", 40 * time.Microsecond: "0.04 ms", 4210 * time.Microsecond: "4.2 ms", 281 * time.Millisecond: "281 ms",
		3167 * time.Millisecond: "3.17 s", 30400 * time.Millisecond: "30.4 s", 10000 * time.Second: "10000 s",
	} {
		if got := duration(d); got != want {
			t.Errorf("duration(%d) = %q, want %q", d, got, want)
		}
	}
}

// TestRest puts the shortest together, and none that failed.
func TestRest(t *testing.T) {
	var g Guest
	for i := range 30 {
		w := Wait{For: "it", Span: Span{Start: Seconds(i) * 100, End: at(time.Duration(i*100 + 50 + i))}}
		if i == 3 {
			w.For, w.Error = "a link", "no carrier"
		}
		g.Waits = append(g.Waits, w)
	}
	g.Now = 5000
	rows := Merge(Host{PowerOn: powerOn, Arrived: after(1), Gone: after(1)}, Marks{}, g).rows()
	var got []string
	for _, r := range rows {
		if r.Kind == Waiting {
			got = append(got, r.name())
		}
	}
	if want := "wait for a link" + strings.Repeat(" wait for it", 10) + " 19 more waits"; strings.Join(got, " ") != want {
		t.Errorf("rows %s, want %s", got, want)
	}
}

func Example() {
	guest, err := ParseGuest([]byte(`{"version":1,"release":"6.12.38","init":0.04,"now":0.1,
		"stages":[{"name":"early","start":0.04,"end":0.045},{"name":"payload","start":0.05,"end":0.099}]}`))
	if err != nil {
		panic(err)
	}
	start := time.Now()
	host := Host{Accel: "kvm", PowerOn: start, Arrived: start.Add(150 * time.Millisecond), Gone: start.Add(160 * time.Millisecond)}
	if err := Merge(host, Marks{}, guest).Text(os.Stdout); err != nil {
		panic(err)
	}
	// Output:
	// 100 ms to the program, 160 ms in all
	// Linux 6.12.38, accelerator kvm
	//
	//     at ms       took  what
	//       0.0      50 ms  firmware                    |#########                   |
	//      50.0      40 ms  kernel                      |        ########            |
	//      90.0     5.0 ms  early                       |               ##           |
	//     100.0      49 ms  payload                     |                 ########## |
	//     149.0      11 ms  shutdown                    |                          ##|
}
