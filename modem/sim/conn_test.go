package sim

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		if n, err := a.Write([]byte("hello")); n != 5 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		buf := make([]byte, 3)
		if n, err := b.Read(buf); n != 3 || err != nil || string(buf) != "hel" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		b.Read(buf)

		began := time.Now()
		b.SetReadDeadline(began.Add(time.Second))
		if _, err := b.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("read deadline: %v after %v", err, time.Since(began))
		}
		if _, err := b.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a passed deadline: %v", err)
		}
		b.SetReadDeadline(time.Now().Add(time.Hour))
		b.SetReadDeadline(time.Time{})
		time.AfterFunc(2*time.Hour, func() { a.Write([]byte("x")) })
		if n, err := b.Read(buf); n != 1 || err != nil {
			t.Errorf("a deadline taken back: %v", err)
		}

		a.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := a.Write(make([]byte, 3*connBuffer)); n != connBuffer || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a full buffer: %d, %v", n, err)
		}
		a.SetWriteDeadline(time.Time{})
		big := bytes.Repeat([]byte("0123456789"), connBuffer)
		go func() {
			a.Write(big)
			a.Close()
		}()
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got[connBuffer:], big) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("write to a closed peer: %v", err)
		}
		if err := a.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("closed twice: %v", err)
		}
		if _, err := a.Read(buf); !errors.Is(err, os.ErrClosed) {
			t.Errorf("read after close: %v", err)
		}
		if err := a.SetDeadline(time.Now()); !errors.Is(err, os.ErrClosed) {
			t.Errorf("deadline after close: %v", err)
		}
	})
}

// TestCloseEndsAll: Close ends a Read and a Write under way at both ends.
func TestCloseEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		ended := make(chan error, 4)
		full := make([]byte, connBuffer+1)
		for _, c := range []*Conn{a, b} {
			go func() { _, err := c.Write(full); ended <- err }()
		}
		synctest.Wait()
		c, d := Pipe()
		go func() { _, err := c.Read(full); ended <- err }()
		go func() { _, err := d.Read(full); ended <- err }()
		synctest.Wait()
		a.Close()
		c.Close()
		for range 4 {
			if err := <-ended; err == nil {
				t.Error("no error")
			}
		}
		b.Close()
		d.Close()
	})
}
