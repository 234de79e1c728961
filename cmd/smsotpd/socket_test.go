package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSocketIsItsOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	l, err := listenSocket(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Stat(filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("mode %04o", mode)
	}
}
