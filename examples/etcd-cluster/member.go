//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// The ports of etcd.
const (
	clientPort = "2379"
	peerPort   = "2380"
)

// answerLimit is how long an answer may take.
const answerLimit = 10 * time.Second

// member is a member of the cluster, as etcd's gateway from gRPC to HTTP has it.
type member struct {
	ID        string // a number
	Name      string // "" before its first start
	PeerURLs  []string
	IsLearner bool // it has no vote
}

// members asks etcd on a machine.
func members(ctx context.Context, address string) ([]member, error) {
	var list struct{ Members []member }
	err := call(ctx, address, "member/list", struct{}{}, &list)
	return list.Members, err
}

// join has the cluster add this machine as a learner, which has no vote until it
// has everything that the others have. What this machine was before it booted is
// removed: it has forgotten what it voted for.
func (m *meeting) join(ctx context.Context) (*start, error) {
	var failed error
	for _, address := range m.others() {
		list, err := members(ctx, address)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		for _, old := range list {
			if !m.obsolete(ctx, old) {
				continue
			}
			fmt.Printf("etcd-cluster: removing member %s %s, which is no more\n", old.Name, old.PeerURLs)
			if err := call(ctx, address, "member/remove", map[string]string{"ID": old.ID}, nil); err != nil {
				return nil, err
			}
		}
		var added struct{ Members []member }
		request := map[string]any{"peerURLs": []string{peerURL(m.Address)}, "isLearner": true}
		if err := call(ctx, address, "member/add", request, &added); err != nil {
			return nil, err
		}
		return joinStart(m.machine, m.others(), added.Members)
	}
	return nil, failed
}

// obsolete tells whether a member is this machine before it booted, or one that
// went away before it had a vote: etcd has room for one learner.
func (m *meeting) obsolete(ctx context.Context, old member) bool {
	if slices.Contains(old.PeerURLs, peerURL(m.Address)) {
		return true
	}
	if !old.IsLearner {
		return false
	}
	for _, text := range old.PeerURLs {
		if u, err := url.Parse(text); err == nil {
			if _, ok := ask(ctx, u.Hostname()); ok {
				return false
			}
		}
	}
	return true
}

func clientURL(address string) string { return "http://" + net.JoinHostPort(address, clientPort) }
func peerURL(address string) string   { return "http://" + net.JoinHostPort(address, peerPort) }

// call calls a method of etcd on a machine.
func call(ctx context.Context, address, method string, request, answer any) error {
	if err := exchange(ctx, http.MethodPost, clientURL(address)+"/v3/cluster/"+method, request, answer); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// exchange sends and receives JSON.
func exchange(ctx context.Context, method, url string, request, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s: %s", url, response.Status, bytes.TrimSpace(text))
	case answer == nil:
		return nil
	}
	return json.Unmarshal(text, answer)
}
