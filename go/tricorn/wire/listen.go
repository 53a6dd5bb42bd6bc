package wire

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// CheckAddress tells what is wrong with an address: "unix:/path" or "host:port" is expected.
func CheckAddress(address string) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" {
			return errors.New("unix: needs a path")
		}
		return nil
	}
	at := strings.LastIndexByte(address, ':')
	if at < 1 {
		return fmt.Errorf("%q is neither unix:/path nor host:port", address)
	}
	if _, err := strconv.ParseUint(address[at+1:], 10, 16); err != nil {
		return fmt.Errorf("%q is neither unix:/path nor host:port", address)
	}
	return nil
}

// Listen listens on "unix:PATH" (for its user only; mode 0600) or "HOST:PORT" (port 0: any free one), and gives the address with its
// actual port. A path that another process serves is refused; what a dead one left is taken away. Closing the listener removes the path.
func Listen(address string) (net.Listener, string, error) {
	if err := CheckAddress(address); err != nil {
		return nil, "", err
	}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		listener, err := listenUnix(path)
		return listener, address, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, "", fmt.Errorf("read the address %s: %w", address, err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, "", fmt.Errorf("listen on %s: %w", address, err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return listener, net.JoinHostPort(host, strconv.Itoa(port)), nil
}

// owned is a listener on a path, with the lock beside it that says whose the path is.
type owned struct {
	*net.UnixListener
	lock *os.File
}

// Close removes the path, then gives it free.
func (o *owned) Close() error {
	err := o.UnixListener.Close()
	_ = o.lock.Close()
	return err
}

func listenUnix(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of %s: %w", path, err)
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of %s: %w", path, err)
	}
	listener, err := listenLocked(path, lock)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	return &owned{listener, lock}, nil
}

func listenLocked(path string, lock *os.File) (*net.UnixListener, error) {
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is served by another process", path)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("take away what was left at %s: %w", path, err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("guard %s: %w", path, err), listener.Close())
	}
	return listener, nil
}
