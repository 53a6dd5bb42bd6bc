package postgres_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

type cut int

const (
	_ cut = iota
	// Once a transaction has been committed, the connection ends before its client hears of it.
	cutAnswer
	// Once a transaction has begun, the connection ends before the server hears what its client asks for next.
	cutRequest
	// The connection ends before its client hears that the server is done with what it asked for next.
	cutNextAnswer
	// The connection ends before the server hears what its client asks for next.
	cutNextRequest
)

// between is a wire between clients and the server, which can be cut once.
type between struct {
	folder string
	config *pgxpool.Config
	mutex  sync.Mutex
	armed  cut
	ended  sync.WaitGroup
}

func listen(t *testing.T, address string) *between {
	t.Helper()
	config := configured(t, address)
	folder, err := os.MkdirTemp("", "tc")
	require.NoError(t, err)
	b := &between{folder: folder, config: config}
	listener, err := net.Listen("unix", filepath.Join(folder, ".s.PGSQL.5432"))
	require.NoError(t, err)
	server := filepath.Join(config.ConnConfig.Host, ".s.PGSQL.5432")
	b.ended.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("unix", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			b.join(client, upstream)
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		b.ended.Wait()
		_ = os.RemoveAll(folder)
	})
	return b
}

func (b *between) pool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	config := b.config.Copy()
	config.ConnConfig.Host, config.ConnConfig.Port = b.folder, 5432
	return start(t, config)
}

func (b *between) arm(cut cut) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.armed = cut
}

func (b *between) disarmed() bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.armed == 0
}

// fires tells, once, whether what is armed is this.
func (b *between) fires(cut cut) bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.armed != cut {
		return false
	}
	b.armed = 0
	return true
}

func (b *between) join(client, server net.Conn) {
	begun := make(chan struct{}, 1)
	b.ended.Go(func() {
		pass(client, server, func([]byte) bool {
			select {
			case <-begun:
				return b.fires(cutRequest)
			default:
				return b.fires(cutNextRequest)
			}
		})
	})
	b.ended.Go(func() {
		pass(server, client, func(part []byte) bool {
			if bytes.Contains(part, []byte("BEGIN\x00")) {
				select {
				case begun <- struct{}{}:
				default:
				}
			}
			if bytes.Contains(part, []byte("COMMIT\x00")) && b.fires(cutAnswer) {
				return true
			}
			return bytes.HasSuffix(part, []byte("Z\x00\x00\x00\x05I")) && b.fires(cutNextAnswer)
		})
	})
}

// pass hands bytes on until one side ends, or until it is told to cut.
func pass(from, to net.Conn, cut func([]byte) bool) {
	defer func() { _, _ = from.Close(), to.Close() }()
	part := make([]byte, 64<<10)
	for {
		size, err := from.Read(part)
		if err != nil || cut(part[:size]) {
			return
		}
		if _, err := to.Write(part[:size]); err != nil {
			return
		}
	}
}
