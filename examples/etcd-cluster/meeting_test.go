//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestConsider(t *testing.T) {
	a, b, c := machine{"a", "10.0.0.1", "a1"}, machine{"b", "10.0.0.2", "b1"}, machine{"c", "10.0.0.3", "c1"}
	again := machine{"c", "10.0.0.3", "c2"}
	all := []machine{a, b, c}
	cluster := []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}
	blank := func(m machine) state { return state{machine: m} }
	for _, tc := range []struct {
		name    string
		self    machine
		found   bool
		answers []state
		want    decision // after the same answers twice
	}{
		{"nobody is there", a, true, nil, wait},
		{"one is off", a, true, []state{blank(b)}, wait},
		{"all are there", a, true, []state{blank(b), blank(c)}, found},
		{"all are there, but the word is not", a, false, []state{blank(b), blank(c)}, wait},
		{"invited without the word", a, false, []state{{b, all, false}, blank(c)}, found},
		{"invited by one, the other is off", a, true, []state{{b, all, false}}, wait},
		{"invited by one, the other has booted again", a, true, []state{{b, all, false}, blank(again)}, wait},
		{"booted again after it was a founder", again, true, []state{{a, all, false}, {b, all, false}}, join},
		{"booted again, and one is off", again, true, []state{{a, all, false}}, join},
		{"a member", a, true, []state{blank(b), {c, nil, true}}, join},
		{"invited, and another is a member already", a, true, []state{{b, all, false}, {c, nil, true}}, join},
		{"a fourth before the cluster", machine{"d", "10.0.0.9", "d1"}, true, []state{blank(a), blank(b), blank(c)}, wait},
		{"a fourth", machine{"d", "10.0.0.9", "d1"}, false, []state{{a, all, false}}, join},
	} {
		m := &meeting{settings: settings{tc.self, cluster, tc.found}}
		m.consider(tc.answers)
		if got := m.consider(tc.answers); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// modelled is a machine of the model: it asks one after another, and what it
// hears may be old when it decides.
type modelled struct {
	meeting
	boots int
	heard []state
	left  []int // whom to ask in this round
}

func (m *modelled) boot(i int, cluster []string) {
	boots := m.boots + 1
	*m = modelled{boots: boots}
	m.settings = settings{machine{fmt.Sprint(i), cluster[i], fmt.Sprintf("%d.%d", i, boots)}, cluster, true}
}

// model is three machines, and which sets of founders have been a cluster.
type model struct {
	t        *testing.T
	cluster  []string
	machines []*modelled
	clusters [][]machine
	trace    []string
}

// alive counts machines of a set that have not booted again, and those that have
// founded it.
func (m *model) alive(set []machine) (there, founded int) {
	for i, f := range set {
		if m.machines[i].machine == f {
			there++
			if slices.Equal(m.machines[i].founders, set) {
				founded++
			}
		}
	}
	return there, founded
}

// founded notes that a machine has founded, and fails if there is a cluster with
// another one that may have acknowledged something and has its majority.
func (m *model) founded(set []machine) {
	if _, n := m.alive(set); n <= len(set)/2 {
		return
	}
	for _, old := range m.clusters {
		if there, n := m.alive(old); !slices.Equal(old, set) && there > len(old)/2 && n > 0 {
			m.t.Fatalf("%v is a cluster beside %v:\n%s", set, old, strings.Join(m.trace, "\n"))
		}
	}
	m.clusters = append(m.clusters, set)
}

// step has one machine do something.
func (m *model) step(r *rand.Rand) {
	i := r.IntN(len(m.machines))
	self := m.machines[i]
	switch {
	case r.IntN(12) == 0:
		self.boot(i, m.cluster)
		m.trace = append(m.trace, self.Boot+" boots")
	case self.founders != nil:
	case len(self.left) > 0:
		other := m.machines[self.left[0]]
		self.left = self.left[1:]
		if r.IntN(10) > 0 {
			self.heard = append(self.heard, other.state())
			m.trace = append(m.trace, fmt.Sprintf("%s hears %+v", self.Boot, other.state()))
		}
	default:
		if self.heard != nil && self.consider(self.heard) == found {
			self.founders = self.candidate
			m.trace = append(m.trace, fmt.Sprintf("%s founds %v", self.Boot, self.founders))
			m.founded(self.founders)
		}
		self.heard = nil
		for _, j := range r.Perm(len(m.machines)) {
			if j != i {
				self.left = append(self.left, j)
			}
		}
	}
}

// TestFounding has machines ask, decide and lose their power in any order.
func TestFounding(t *testing.T) {
	clusters := 0
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := &model{t: t, cluster: []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}}
		for i := range m.cluster {
			m.machines = append(m.machines, &modelled{})
			m.machines[i].boot(i, m.cluster)
		}
		for range 200 {
			m.step(r)
		}
		clusters += len(m.clusters)
	}
	if clusters == 0 {
		t.Error("no cluster was ever founded")
	}
	t.Logf("%d clusters", clusters)
}

func TestReadSettings(t *testing.T) {
	run := t.TempDir()
	env := func(cluster, bootstrap string) func(string) string {
		return func(name string) string { return map[string]string{"CLUSTER": cluster, "BOOTSTRAP": bootstrap}[name] }
	}
	refused := func(cluster, bootstrap, want string) {
		t.Helper()
		if _, err := readSettings(env(cluster, bootstrap), run); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CLUSTER=%s BOOTSTRAP=%s: %v, want %q", cluster, bootstrap, err, want)
		}
	}
	refused("10.0.0.11", "", "no lease in")
	lease := "DEVICE='eth0'\nPROTO='dhcp'\nIPV4ADDR='10.0.0.11'\nHOSTNAME='n1'\n"
	if err := os.WriteFile(filepath.Join(run, "net-eth0.conf"), []byte(lease), 0o644); err != nil {
		t.Fatal(err)
	}
	refused("", "yes", "no CLUSTER=")
	refused("10.0.0.11", "true", "BOOTSTRAP=true: want yes")
	got, err := readSettings(env("10.0.0.11,10.0.0.12", "yes"), run)
	if err != nil || got.machine != (machine{Name: "n1", Address: "10.0.0.11"}) || !got.found || len(got.cluster) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}
