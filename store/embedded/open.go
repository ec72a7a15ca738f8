package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// format is the version of the file's layout. A file of a later format is refused:
// it may hold restrictions that this version would not see.
const format = 1

// mapped is how many bytes are mapped from the beginning, however short the file is: room
// for more than a million tokens. A file that outgrows its mapping is mapped anew, which
// waits for every reader, and lookups wait for it. Only addresses are taken, no memory and
// no disk. But 32-bit systems have few addresses, and Windows would make the file as long.
var mapped = func() int {
	if strconv.IntSize < 64 || runtime.GOOS == "windows" {
		return 0
	}
	return 1 << 30
}()

// growth is by how much the file is made longer where it is full. Each time costs one
// more wait for the disk.
const growth = 1 << 20

// Open opens the store in the file at path, and makes it, and its directory, if there
// is none. Only the file's owner may read it: a wider mode is narrowed. Open waits a
// second for another process that holds the file, such as a patgate that is being
// stopped.
func Open(path string) (*Store, error) { return openWithin(path, time.Second) }

func openWithin(path string, lockTimeout time.Duration) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of token store %s: %w", path, err)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		create(path)
	}
	s := &Store{path: path, lead: make(chan struct{}, 1)}
	if err := s.open(lockTimeout); err != nil {
		return nil, err
	}
	return s, nil
}

// create makes an empty database at path, whole or not at all: a part of one, which a
// crash may leave, could not be told from a damaged one. If create fails, open makes
// the file in place, or finds out why it can't.
func create(path string) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return
	}
	f.Close()
	defer os.Remove(f.Name())
	db, err := bbolt.Open(f.Name(), 0o600, nil)
	if err != nil || db.Close() != nil {
		return
	}
	os.Link(f.Name(), path) // not Rename: another process may have been faster
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		dir.Sync() // so that the file's name survives a power cut, not only what is in it
		dir.Close()
	}
}

func (s *Store) open(lockTimeout time.Duration) error {
	made, answered := false, false
	err := s.shielded(func() error {
		err := s.openFile(lockTimeout, &made)
		answered = true
		return err
	})
	if err == nil {
		return nil
	}
	if !answered { // bbolt has panicked
		err = fmt.Errorf("%w; put a copy of it back", err)
	}
	if made { // in place, and incomplete
		os.Remove(s.path)
	}
	switch {
	case s.db != nil:
		s.db.Close()
	case s.file != nil:
		release(s.file) // bbolt has closed it, unless it has panicked
	}
	return err
}

// openFile opens the file, or makes it, and prepares it; made is set as soon as it is made.
func (s *Store) openFile(lockTimeout time.Duration, made *bool) (err error) {
	options := &bbolt.Options{
		Timeout:         lockTimeout,
		FreelistType:    bbolt.FreelistMapType,
		NoStatistics:    true,
		InitialMmapSize: mapped,
		OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
			if s.file, err = os.OpenFile(name, flag|os.O_EXCL, mode); errors.Is(err, fs.ErrExist) {
				s.file, err = os.OpenFile(name, flag, mode)
			} else {
				*made = err == nil && flag&os.O_CREATE != 0
			}
			if err == nil {
				err = lockUncached(s.file, lockTimeout)
			}
			return s.file, err
		},
	}
	s.db, err = bbolt.Open(s.path, 0o600, options)
	if errors.Is(err, syscall.ENOMEM) { // the process may be allowed too few addresses (ulimit -v)
		options.InitialMmapSize = 0
		s.db, err = bbolt.Open(s.path, 0o600, options)
	}
	if err != nil {
		return s.explain(err)
	}
	s.db.AllocSize = growth
	if err := s.prepare(); err != nil {
		return err
	}
	if err := s.db.View(func(b *bbolt.Tx) error {
		s.last.Store(int64(b.ID()))
		s.begun.Store(int64(b.ID()))
		return nil
	}); err != nil {
		return err
	}
	return s.tighten()
}

// explain returns an error of bbolt.Open with what to do about it.
func (s *Store) explain(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("token store %s is in use by another process, usually a running patgate: "+
			"manage tokens through it (patgate token ...), or stop it", s.path)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%s is damaged, or not a token store of patgate at all: name another file, or put a copy of it back (%w)", s.path, err)
	}
	return fmt.Errorf("opening token store %s: %w", s.path, err)
}

// buckets are those of the layout. Files of earlier versions have neither uses nor
// events; versions that don't know these leave them alone.
var buckets = [][]byte{
	bucketTokens, bucketDigests, bucketByOwner, bucketOwners, bucketMeta, bucketUses, bucketEvents, bucketEventsBy,
}

// prepare checks that the file is a token store that this version reads. It turns an empty
// file into one, and adds the buckets that a file of an earlier version lacks.
func (s *Store) prepare() error {
	complete := false
	err := s.db.View(func(b *bbolt.Tx) error {
		if info, err := s.file.Stat(); err != nil {
			return fmt.Errorf("opening token store: %w", err)
		} else if info.Size() < b.Size() {
			return fmt.Errorf("token store %s is damaged: %d bytes of it are missing; put a copy of it back", s.path, b.Size()-info.Size())
		}
		if first, _ := b.Cursor().First(); first == nil {
			return nil
		}
		meta := b.Bucket(bucketMeta)
		if meta == nil || len(meta.Get(keyFormat)) != 8 {
			return fmt.Errorf("%s is no token store of patgate: it is a bbolt database of another program, or a copy of a store that was made with cp while that was being changed; name another file", s.path)
		}
		if v := (tx{b}).number(keyFormat); v != format {
			return fmt.Errorf("token store %s has format %d, this patgate reads format %d: use the patgate that wrote it, or a later one", s.path, v, format)
		}
		complete = b.Bucket(bucketEventsBy) != nil
		return nil
	})
	if err != nil || complete {
		return err
	}
	err = s.db.Update(func(b *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := b.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return tx{b}.setNumber(keyFormat, format)
	})
	if err != nil {
		return fmt.Errorf("making token store %s: %w", s.path, err)
	}
	return nil
}

// tighten takes everybody's permissions but the owner's.
func (s *Store) tighten() error {
	info, err := s.file.Stat()
	if err == nil && info.Mode().Perm()&^0o600 != 0 {
		err = s.file.Chmod(0o600)
	}
	if err != nil {
		return fmt.Errorf("taking other users' access to token store %s: %w", s.path, err)
	}
	return nil
}
