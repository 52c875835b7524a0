//go:build linux

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rambox/internal/vmtest"
)

// answerLimit is how long a member may take to answer: longer than an election.
const answerLimit = 15 * time.Second

// client asks members of the cluster over the gateway from HTTP to etcd's gRPC.
type client struct{ http http.Client }

// newClient makes a client whose connections begin in a namespace.
func newClient(n *vmtest.Namespace) *client {
	dial := func(ctx context.Context, network, address string) (c net.Conn, err error) {
		err = n.Inside(func() error {
			c, err = new(net.Dialer).DialContext(ctx, network, address)
			return err
		})
		return c, err
	}
	return &client{http.Client{Timeout: answerLimit, Transport: &http.Transport{DialContext: dial}}}
}

// call calls a method of the member at an address.
func (c *client) call(address, method string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	r, err := c.http.Post("http://"+address+":2379/v3/"+method, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", method, r.Status, text)
	}
	return json.Unmarshal(text, answer)
}

// header is in every answer.
type header struct {
	ClusterID string `json:"cluster_id"`
	MemberID  string `json:"member_id"`
}

// member is one as the cluster knows it.
type member struct {
	ID, Name   string
	PeerURLs   []string
	ClientURLs []string
	IsLearner  bool
}

// address is where it serves clients; "" before its first start.
func (m member) address() string {
	if len(m.ClientURLs) == 0 {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(m.ClientURLs[0], "http://"), ":2379")
}

// status is what a member says of itself.
type status struct {
	Header header
	Leader string // its member ID
}

// voters waits until a cluster of so many members has given each its vote, and
// each takes part, and none has an ID of old. The one that leads comes first. It
// asks again and again: etcd has nothing else.
func (c *client) voters(t *testing.T, ask string, count int, old ...string) []member {
	t.Helper()
	var list struct{ Members []member }
	var err error
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		list.Members = nil
		if err = c.call(ask, "cluster/member/list", struct{}{}, &list); err == nil {
			var leader int
			if leader, err = c.settled(list.Members, count, old); err == nil {
				list.Members[0], list.Members[leader] = list.Members[leader], list.Members[0]
				return list.Members
			}
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatalf("no cluster of %d within %v: %v\nmembers: %+v", count, patience, err, list.Members)
	return nil
}

// settled finds the member that leads, or says why there is no such cluster.
func (c *client) settled(members []member, count int, old []string) (leader int, err error) {
	if len(members) != count {
		return 0, fmt.Errorf("%d members, want %d", len(members), count)
	}
	for _, m := range members {
		if m.address() == "" || m.IsLearner || slices.Contains(old, m.ID) {
			return 0, fmt.Errorf("%+v is no voter of now", m)
		}
		var s status
		if err := c.call(m.address(), "maintenance/status", struct{}{}, &s); err != nil {
			return 0, err
		}
		leader = slices.IndexFunc(members, func(m member) bool { return m.ID == s.Leader })
		if s.Header.MemberID != m.ID || leader < 0 {
			return 0, fmt.Errorf("%+v says %+v", m, s)
		}
	}
	return leader, nil
}

// put writes a key.
func (c *client) put(address, key, value string) error {
	return c.call(address, "kv/put", map[string][]byte{"key": []byte(key), "value": []byte(value)}, &struct{}{})
}

// all reads every key that begins with "key", from a member's own copy or from
// the cluster.
func (c *client) all(address string, own bool) (map[string]string, error) {
	var answer struct {
		KVs []struct{ Key, Value []byte }
	}
	request := map[string]any{"key": []byte("key"), "range_end": []byte("kez"), "serializable": own}
	if err := c.call(address, "kv/range", request, &answer); err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, kv := range answer.KVs {
		found[string(kv.Key)] = string(kv.Value)
	}
	return found, nil
}

// status is the state of the member at an address.
func (c *client) status(t *testing.T, address string) status {
	t.Helper()
	var s status
	if err := c.call(address, "maintenance/status", struct{}{}, &s); err != nil {
		t.Fatal(err)
	}
	return s
}
