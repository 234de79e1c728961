package storagetest

import "smsotpd/storage"

// Counter is a transaction that counts the keys that it touches, as the bound
// of storage.MaxKeys does.
type Counter struct {
	storage.Tx
	keys  map[string]bool
	scans int
}

// Count counts what is done in tx by way of the Counter.
func Count(tx storage.Tx) *Counter { return &Counter{Tx: tx, keys: map[string]bool{}} }

// Keys is how many distinct keys were touched, and one more for each scan.
func (c *Counter) Keys() int { return len(c.keys) + c.scans }

// Get implements storage.Tx.
func (c *Counter) Get(key []byte) ([]byte, error) {
	c.keys[string(key)] = true
	return c.Tx.Get(key)
}

// Put implements storage.Tx.
func (c *Counter) Put(key, value []byte) error {
	c.keys[string(key)] = true
	return c.Tx.Put(key, value)
}

// Delete implements storage.Tx.
func (c *Counter) Delete(key []byte) error {
	c.keys[string(key)] = true
	return c.Tx.Delete(key)
}

// Scan implements storage.Tx.
func (c *Counter) Scan(start, end []byte, limit int) ([]storage.Entry, error) {
	c.scans++
	found, err := c.Tx.Scan(start, end, limit)
	for _, e := range found {
		c.keys[string(e.Key)] = true
	}
	return found, err
}
