//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// meetingPort is where machines ask each other what they know.
const meetingPort = "2378"

// askAgain is the time between two rounds of questions. Neither a machine that is
// off nor etcd tells when that changes.
const askAgain = time.Second

// askLimit is how long a machine may take to answer.
const askLimit = 3 * time.Second

// machine is one boot of a machine.
type machine struct {
	Name, Address string
	Boot          string // random: another one after each boot
}

// state is what a machine says of itself.
type state struct {
	machine
	Founders []machine // with whom it founds, or has founded, a cluster
	Member   bool      // it has been added to a cluster
}

// meeting is this machine among the others.
type meeting struct {
	settings
	server    *http.Server
	candidate []machine // founders, if the next round of answers agrees
	mu        sync.Mutex
	founders  []machine
	member    bool
}

// newMeeting answers the questions of others from now on.
func newMeeting(s settings) (*meeting, error) {
	s.Boot = rand.Text()
	m := &meeting{settings: s}
	l, err := net.Listen("tcp", net.JoinHostPort(s.Address, meetingPort))
	if err != nil {
		return nil, err
	}
	m.server = &http.Server{ReadTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(m.state())
	})}
	go m.server.Serve(l) // until close
	return m, nil
}

func (m *meeting) close() { m.server.Close() }

func (m *meeting) state() state {
	m.mu.Lock()
	defer m.mu.Unlock()
	return state{m.machine, m.founders, m.member}
}

// decision is what a machine that has booted from nothing does.
type decision int

const (
	wait decision = iota
	found
	join
)

// consider works out what to do after a round of answers. If it is to found a
// cluster, candidate has the founders.
//
// A machine founds when every one of the configured machines has answered twice in
// a row with the same boot, and none is in a cluster or founds another: so all were
// there at one moment, and none had anything to lose. It does so once in a boot. Of
// two sets of founders, one has lost a machine of the other, and the one that comes
// later does not get the vote of any machine that knows of the first: no cluster
// that has acknowledged something has another beside it. The boots of its founders
// are the cluster's token, without which etcd's members do not talk to each other.
//
// A machine that was a founder and has booted again is none of them any more: it
// joins, as a new member.
func (m *meeting) consider(answers []state) decision {
	all := []machine{m.machine}
	for _, a := range answers {
		all = append(all, a.machine)
	}
	slices.SortFunc(all, func(a, b machine) int { return strings.Compare(a.Address, b.Address) })
	complete := slices.Contains(m.cluster, m.Address) && len(all) == len(m.cluster)
	var invited, opposed, cluster bool
	for _, a := range answers {
		founds := a.Founders != nil
		agrees := slices.Equal(a.Founders, all)
		invited = invited || founds && agrees
		opposed = opposed || founds && !agrees || a.Member
		cluster = cluster || founds && !slices.Contains(a.Founders, m.machine) || a.Member
	}
	before := m.candidate
	m.candidate = nil
	switch {
	case cluster:
		return join
	case !complete || opposed || !m.found && !invited:
		return wait
	}
	m.candidate = all
	if slices.Equal(before, all) {
		return found
	}
	return wait
}

// enter asks the others until this machine founds a cluster or is added to one.
func (m *meeting) enter(ctx context.Context) (*start, error) {
	said := ""
	for {
		answers := m.askAll(ctx)
		report := fmt.Sprintf("%d of %d machines answer, and none has a cluster to join", len(answers), len(m.others()))
		switch m.consider(answers) {
		case found:
			m.mu.Lock()
			m.founders = m.candidate
			m.mu.Unlock()
			return foundStart(m.machine, m.candidate), nil
		case join:
			s, err := m.join(ctx)
			if err == nil {
				m.mu.Lock()
				m.member = true
				m.mu.Unlock()
				return s, nil
			}
			report = err.Error()
		}
		if report != said {
			fmt.Println("etcd-cluster:", report)
			said = report
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(askAgain):
		}
	}
}

// others are the addresses to ask.
func (m *meeting) others() []string {
	return slices.DeleteFunc(slices.Clone(m.cluster), func(a string) bool { return a == m.Address })
}

// askAll returns the states of those that answer.
func (m *meeting) askAll(ctx context.Context) []state {
	var answers []state
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, address := range m.others() {
		asked.Go(func() {
			if s, ok := ask(ctx, address); ok {
				mu.Lock()
				defer mu.Unlock()
				answers = append(answers, s)
			}
		})
	}
	asked.Wait()
	return answers
}

// ask asks one machine.
func ask(ctx context.Context, address string) (state, bool) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var s state
	err := exchange(ctx, http.MethodGet, "http://"+net.JoinHostPort(address, meetingPort), nil, &s)
	// A machine with another address than the one asked is a mistake of the
	// network's, and nobody to found anything with.
	return s, err == nil && s.Address == address && s.Boot != ""
}
