package redis

import (
	"testing"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	storetest.Run(t, func(t *testing.T) store.Store { return openSound(t, Options{Addresses: []string{server.Addr}}) })
}

func TestStoreValkey(t *testing.T) {
	t.Parallel()
	server := redistest.StartValkey(t)
	storetest.Run(t, func(t *testing.T) store.Store { return openSound(t, Options{Addresses: []string{server.Addr}}) })
}

func TestStoreSentinel(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		return openSound(t, Options{Addresses: []string{s.Sentinel.Addr}, MasterName: redistest.MasterName})
	})
}

func TestStoreCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 0)
	storetest.Run(t, func(t *testing.T) store.Store { return openSound(t, Options{Addresses: c.Addrs, Cluster: true}) })
}
