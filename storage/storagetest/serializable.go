package storagetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"smsotpd/storage"
)

// Transfers between accounts keep their sum in every snapshot, and increments
// of one counter are never lost.
func testSerializable(t *testing.T, b Backing) {
	const accounts, workers, rounds, total = 8, 8, 40, 800
	s := open(t, b, Options{})
	account := func(i int) []byte { return fmt.Appendf(nil, "account/%d", i) }
	number := func(tx storage.Tx, key []byte) (uint64, error) {
		v, err := tx.Get(key)
		if err != nil {
			return 0, err
		}
		return binary.BigEndian.Uint64(v), nil
	}
	set := func(tx storage.Tx, key []byte, n uint64) error {
		return tx.Put(key, binary.BigEndian.AppendUint64(nil, n))
	}
	update(t, s, func(tx storage.Tx) error {
		for i := range accounts {
			if err := set(tx, account(i), total/accounts); err != nil {
				return err
			}
		}
		return set(tx, []byte("counter"), 0)
	})
	transfer := func(tx storage.Tx, from, to int) error {
		have, err := number(tx, account(from))
		if err != nil || have == 0 || from == to {
			return err
		}
		there, err := number(tx, account(to))
		if err != nil {
			return err
		}
		n, err := number(tx, []byte("counter"))
		if err != nil {
			return err
		}
		return errors.Join(set(tx, account(from), have-1), set(tx, account(to), there+1), set(tx, []byte("counter"), n+1))
	}
	sum := func(tx storage.Tx) error {
		entries, err := tx.Scan([]byte("account/"), storage.PrefixEnd([]byte("account/")), 50)
		if err != nil {
			return err
		}
		got := uint64(0)
		for _, e := range entries {
			got += binary.BigEndian.Uint64(e.Value)
		}
		if got != total {
			t.Errorf("the accounts hold %d, want %d", got, total)
		}
		return nil
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	moved := uint64(0)
	for w := range workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for range rounds {
				from, to, counts := random.IntN(accounts), random.IntN(accounts), false
				err := s.Update(context.Background(), func(tx storage.Tx) error {
					have, err := number(tx, account(from))
					counts = have > 0 && from != to
					return errors.Join(err, transfer(tx, from, to))
				})
				if err != nil {
					t.Error(err)
				}
				if counts {
					mu.Lock()
					moved++
					mu.Unlock()
				}
				if err := s.View(context.Background(), sum); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	update(t, s, func(tx storage.Tx) error {
		n, err := number(tx, []byte("counter"))
		if n != moved {
			t.Errorf("the counter shows %d, %d were acknowledged", n, moved)
		}
		return err
	})
}
