package modem

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// CheckPINFile says what is wrong with a file that is to hold a SIM's PIN, in
// words for the operator.
func CheckPINFile(path string) error {
	_, err := readPIN(path)
	return err
}

// readPIN reads the PIN in a file, which holds nothing else. It is read again
// each time that a SIM asks, and must never be waited for: only a regular file
// will do.
func readPIN(path string) (string, error) {
	const most = 64 // a PIN and blanks
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", fmt.Errorf("the PIN file can't be read: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("the PIN file can't be read: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("the PIN file can't be read: %s is no regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return "", fmt.Errorf("the PIN file can't be read: %w", err)
	}
	pin := strings.TrimSpace(string(text))
	if len(pin) < 4 || len(pin) > 8 || !isNumber(pin) {
		return "", fmt.Errorf("%s must hold a PIN of 4 to 8 digits, and nothing else", path)
	}
	return pin, nil
}
