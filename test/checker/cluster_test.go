package checker

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
)

// TestHistoriesInCluster is TestHistories with a Cluster of three servers, each
// behind a proxy. None of them has a replica: nothing is ever lost.
func TestHistoriesInCluster(t *testing.T) {
	if *soak == 0 {
		t.Skip("takes minutes: run it with -soak")
	}
	w := &world{T: t, seed: seedOf(t), began: time.Now()}
	w.servers = redistest.StartCluster(t, 0, durable...).Masters
	for i, server := range w.servers {
		p := newProxy(t, server.Addr, w.random(600+uint64(i)))
		w.before = append(w.before, p)
		_, port, _ := strings.Cut(p.addr(), ":")
		server.Do("config", "set", "cluster-announce-port", port)
		server.Do("config", "rewrite")
	}
	for _, server := range w.servers {
		redistest.Await(t, "the cluster to name the proxies", func() error {
			slots := fmt.Sprint(server.Do("cluster", "slots"))
			for _, p := range w.before {
				if _, port, _ := strings.Cut(p.addr(), ":"); !strings.Contains(slots, " "+port+" ") {
					return fmt.Errorf("%s has %s", server.Addr, slots)
				}
			}
			return nil
		})
	}
	w.startGateways(os.Args[0])
	w.live()
	w.report()
	w.wantSound()
}

// cluster returns the setting of the Cluster, "" if there is none.
func (w *world) cluster() string {
	if len(w.before) == 0 {
		return ""
	}
	var addresses []string
	for _, p := range w.before {
		addresses = append(addresses, p.addr())
	}
	return "{\n\t\t\taddress " + strings.Join(addresses, " ") + "\n\t\t\tcluster\n\t\t}"
}
