package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// traces are the files that the traffic of the traced modems is written to:
// trace-NAME.log in the state directory, and trace-NAME.log.1 with what was
// before. What the driver hands over has no numbers, texts, codes and PINs in
// it any more, so that they can be attached to a bug report.
type traces struct {
	dir    string
	wanted []string
	log    *slog.Logger

	mu     sync.Mutex
	closed bool                  // guarded by mu
	files  map[string]*traceFile // by path; nil where one can't be written; guarded by mu
}

// traceFile is one file that is written.
type traceFile struct {
	file *os.File
	size int64
}

// maxTrace bounds a file; there are two of each modem.
const maxTrace = 8 << 20

func newTraces(dir string, wanted []string, log *slog.Logger) *traces {
	return &traces{dir: dir, wanted: wanted, log: log, files: map[string]*traceFile{}}
}

// write takes a line of a modem's trace.
func (t *traces) write(modem, line string) {
	if !slices.Contains(t.wanted, traceAll) && !slices.Contains(t.wanted, modem) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	path := filepath.Join(t.dir, "trace-"+fileWord(modem)+".log")
	f, known := t.files[path]
	if t.closed || known && f == nil {
		return
	}
	var err error
	if known && f.size+int64(len(line)) > maxTrace {
		err = errors.Join(f.file.Close(), os.Rename(path, path+".1"))
		known = false
	}
	if !known && err == nil {
		if f, err = openTrace(path, modem); err == nil {
			t.log.Info("modem is traced", "modem", modem, "path", path)
		}
		t.files[path] = f
	}
	if err == nil {
		var n int
		n, err = f.file.WriteString(line + "\n")
		f.size += int64(n)
	}
	if err != nil {
		t.log.Error("a modem is not traced any more", "modem", modem, "error", err)
		t.files[path] = nil
	}
}

func openTrace(path, modem string) (*traceFile, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	f := &traceFile{file: file}
	if info, err := file.Stat(); err == nil {
		f.size = info.Size()
	}
	n, err := fmt.Fprintf(file, "# smsotpd %s, modem %s: > to the modem, < from it; numbers, texts, codes and PINs are left out\n", buildVersion(), modem)
	f.size += int64(n)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return f, nil
}

// close closes the files.
func (t *traces) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	var errs []error
	for _, f := range t.files {
		if f != nil {
			errs = append(errs, f.file.Close())
		}
	}
	return errors.Join(errs...)
}

// fileWord is a name fit for a file's.
func fileWord(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '_'
	}, name)
}
