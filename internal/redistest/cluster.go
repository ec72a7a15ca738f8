package redistest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/internal/freeport"
)

// slots is how many slots a Cluster has.
const slots = 16384

// Cluster is three masters, each with its third of the slots, and as many
// replicas as were asked for, of the masters in turn.
type Cluster struct {
	Masters  []*Server
	Replicas []*Server
	Addrs    []string // of all
}

// StartCluster starts a Cluster and returns when all nodes agree on it.
func StartCluster(t testing.TB, replicas int, lines ...string) *Cluster {
	t.Helper()
	const masters = 3
	c := new(Cluster)
	var nodes []*Server
	var buses []string // their ports
	for i := range masters + replicas {
		buses = append(buses, port(freeport.For(t)))
		nodes = append(nodes, Start(t, append([]string{
			"cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 60000",
			"cluster-port " + buses[i], "cluster-announce-bus-port " + buses[i], "repl-diskless-sync-delay 0", "cluster-replica-validity-factor 0",
			"cluster-require-full-coverage no",
		}, lines...)...))
		c.Addrs = append(c.Addrs, nodes[i].Addr)
	}
	c.Masters, c.Replicas = nodes[:masters], nodes[masters:]
	for i, m := range c.Masters {
		m.Do("cluster", "addslotsrange", i*slots/masters, (i+1)*slots/masters-1)
		m.Do("cluster", "set-config-epoch", i+1)
	}
	for _, n := range nodes[1:] {
		host, port, _ := strings.Cut(nodes[0].Addr, ":")
		n.Do("cluster", "meet", host, port, buses[0])
	}
	for _, n := range nodes {
		Await(t, "the cluster", func() error {
			v := n.client.Do(context.Background(), "cluster", "nodes").String()
			if got := strings.Count(v, "connected"); got < len(nodes) || strings.Contains(v, "handshake") {
				return errors.New(v)
			}
			return nil
		})
	}
	for i, r := range c.Replicas {
		id := c.Masters[i%masters].ID()
		Await(t, "a replica", func() error {
			return r.client.Do(context.Background(), "cluster", "replicate", id).Err()
		})
	}
	for _, n := range nodes {
		Await(t, "the cluster to be complete", func() error {
			info := n.client.Do(context.Background(), "cluster", "info").String()
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprint("cluster_known_nodes:", len(nodes))) || !strings.Contains(info, fmt.Sprint("cluster_slots_ok:", slots)) {
				return errors.New(info)
			}
			return nil
		})
	}
	for i := range c.Replicas {
		m := c.Masters[i%masters]
		m.awaitReplication("a replica of "+m.Addr, "state=online")
	}
	return c
}

// ID returns the id that the server has in its Cluster.
func (s *Server) ID() string {
	s.t.Helper()
	return s.Do("cluster", "myid").(string)
}

// Owner returns the master that has a slot.
func (c *Cluster) Owner(t testing.TB, slot int) (owner *Server) {
	t.Helper()
	Await(t, fmt.Sprintf("slot %d to have a master", slot), func() error {
		for _, m := range c.Masters {
			shards, err := m.client.ClusterShards(context.Background()).Result()
			if err != nil {
				continue
			}
			for _, s := range shards {
				for _, r := range s.Slots {
					if r.Start <= int64(slot) && int64(slot) <= r.End {
						if owner = c.master(s.Nodes); owner != nil {
							return nil
						}
					}
				}
			}
		}
		return errors.New("none")
	})
	return owner
}

// master returns the one of the masters that is among these nodes.
func (c *Cluster) master(nodes []redis.Node) *Server {
	for _, n := range nodes {
		for _, m := range c.Masters {
			if m.Addr == fmt.Sprintf("%s:%d", n.IP, n.Port) {
				return m
			}
		}
	}
	return nil
}

// Move moves a slot, key by key, from one master to another.
func (c *Cluster) Move(t testing.TB, slot int, from, to *Server) {
	t.Helper()
	host, port, _ := strings.Cut(to.Addr, ":")
	to.Do("cluster", "setslot", slot, "importing", from.ID())
	from.Do("cluster", "setslot", slot, "migrating", to.ID())
	for {
		keys := from.client.ClusterGetKeysInSlot(context.Background(), slot, 10).Val()
		if len(keys) == 0 {
			break
		}
		for _, k := range keys {
			from.Do("migrate", host, port, k, 0, 5000)
		}
	}
	for _, m := range []*Server{to, from} {
		m.Do("cluster", "setslot", slot, "node", to.ID())
	}
	for _, m := range c.Masters {
		if m != to && m != from {
			m.Do("cluster", "setslot", slot, "node", to.ID())
		}
	}
}
