package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"os"

	"smsotpd/storage"
)

// bbolt trusts its file: a page number that points nowhere ends the process by
// a signal or by a panic in a goroutine of its own. So the file is read here
// first, page by page, without a change to it: metas, our bucket and nothing
// else, every page of its tree, and the list of free pages if there is one.
// bbolt keeps no checksum of pages; a flipped byte in a value goes unseen.

// The layout of bbolt's file format 2, in the machine's byte order:
//
//	page    id u64, flags u16, count u16, overflow u32, elements
//	meta    magic u32, version u32, page size u32, flags u32,
//	        root u64, sequence u64, freelist u64, pages u64, txid u64,
//	        FNV-1a of all that u64
//	leaf    flags u32, position u32, key size u32, value size u32
//	branch  position u32, key size u32, page u64
//	bucket  root u64 (0: the page follows inline), sequence u64
const (
	magic, format = 0xED0CDAED, 2

	headerSize, elementSize, bucketSize = 16, 16, 16
	metaSize, metaSummed                = 64, 56

	branchPage, leafPage, metaPage, freelistPage = 0x01, 0x02, 0x04, 0x10

	bucketElement = 0x01
	noFreelist    = 1<<64 - 1
	maxDepth      = 64
)

// checkFile says whether bbolt may be given the file: ErrForeign if not.
func checkFile(file *os.File, log *slog.Logger) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: not a regular file", storage.ErrForeign)
	}
	if info.Size() == 0 {
		return nil
	}
	c := checker{file: file, size: info.Size()}
	if err := c.check(); err != nil {
		if _, unreadable := errors.AsType[*os.PathError](err); unreadable {
			return err
		}
		return fmt.Errorf("%w: %w", storage.ErrForeign, err)
	}
	if c.torn {
		// A power cut can tear the meta page of a commit that was never
		// acknowledged; the other one then holds all that was.
		log.Warn("one of the two meta pages is damaged; the other is used", "txid", c.meta.txid)
	}
	return nil
}

type meta struct {
	pageSize              uint32
	root, freelist, pages uint64
	txid                  uint64
}

type checker struct {
	file     io.ReaderAt
	size     int64
	meta     meta
	torn     bool
	seen     []uint64 // a bit for each page that is in use
	pageBufs [][]byte // one for each depth
}

func (c *checker) check() error {
	if err := c.readMetas(); err != nil {
		return err
	}
	if c.size < int64(c.meta.pages)*int64(c.meta.pageSize) {
		return fmt.Errorf("truncated: %d bytes, the meta page counts %d pages of %d", c.size, c.meta.pages, c.meta.pageSize)
	}
	c.seen = make([]uint64, c.meta.pages/64+1)
	if err := c.checkRoot(); err != nil {
		return err
	}
	if c.meta.freelist != noFreelist {
		return c.checkFreelist()
	}
	return nil
}

// readMetas chooses the meta page that bbolt will choose: the later of the
// valid ones.
func (c *checker) readMetas() error {
	first, err := c.readMeta(0)
	if errors.Is(err, errNoMeta) {
		// The second one begins one page later, however long that is.
		for at := int64(1 << 10); at <= 1<<16; at <<= 1 {
			second, err := c.readMeta(at)
			if err == nil && int64(second.pageSize) == at {
				c.meta, c.torn = second, true
				return nil
			}
		}
		return errors.New("no valid meta page: not a store of smsotpd, or overwritten")
	}
	if err != nil {
		return err
	}
	second, err := c.readMeta(int64(first.pageSize))
	switch {
	case errors.Is(err, errNoMeta):
		c.meta, c.torn = first, true
	case err != nil:
		return err
	case second.pageSize != first.pageSize:
		return errors.New("the meta pages don't agree on the page size")
	case second.txid > first.txid:
		c.meta = second
	default:
		c.meta = first
	}
	return nil
}

var errNoMeta = errors.New("no valid meta page")

func (c *checker) readMeta(at int64) (meta, error) {
	var page [headerSize + metaSize]byte
	if c.size < at+int64(len(page)) {
		return meta{}, errNoMeta
	}
	if _, err := c.file.ReadAt(page[:], at); err != nil {
		return meta{}, err
	}
	b, order := page[headerSize:], binary.NativeEndian
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaSummed])
	m := meta{
		pageSize: order.Uint32(b[8:]),
		root:     order.Uint64(b[16:]),
		freelist: order.Uint64(b[32:]),
		pages:    order.Uint64(b[40:]),
		txid:     order.Uint64(b[48:]),
	}
	switch {
	case order.Uint32(b) != magic || order.Uint32(b[4:]) != format || order.Uint64(b[metaSummed:]) != sum.Sum64():
		return meta{}, errNoMeta
	case m.pageSize < 1<<10 || m.pageSize > 1<<16 || m.pageSize&(m.pageSize-1) != 0:
		return meta{}, errNoMeta
	case m.pages < 4 || m.pages > 1<<48/uint64(m.pageSize):
		return meta{}, errNoMeta
	}
	return m, nil
}

// checkRoot looks for our bucket and nothing else. A file without any is one
// whose making was cut short.
func (c *checker) checkRoot() error {
	p, err := c.page(c.meta.root, 0)
	if err != nil {
		return err
	}
	if p.kind != leafPage || p.count > 1 {
		return errors.New("a bbolt file, but not a store of smsotpd")
	}
	if p.count == 0 {
		return nil
	}
	e, err := p.element(0)
	if err != nil {
		return err
	}
	if e.flags != bucketElement || !bytes.Equal(e.key, bucketName) {
		return errors.New("a bbolt file, but not a store of smsotpd")
	}
	if len(e.value) < bucketSize {
		return errors.New("bucket cut short")
	}
	if root := binary.NativeEndian.Uint64(e.value); root != 0 {
		return c.checkTree(root, 1, nil, nil)
	}
	inline, err := parsePage(e.value[bucketSize:])
	if err != nil {
		return err
	}
	if inline.kind != leafPage {
		return errors.New("inline bucket is no leaf")
	}
	return inline.checkLeaf(nil, nil)
}

// checkTree checks the pages from id down, whose keys must be at least low and
// below high; nil is no bound.
func (c *checker) checkTree(id uint64, depth int, low, high []byte) error {
	if depth > maxDepth {
		return errors.New("tree without end")
	}
	p, err := c.page(id, depth)
	if err != nil {
		return err
	}
	switch {
	case p.kind == leafPage:
		err = p.checkLeaf(low, high)
	case p.kind != branchPage || p.count == 0:
		err = errors.New("neither leaf nor branch")
	}
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	if p.kind == leafPage {
		return nil
	}
	for i := range p.count {
		e, err := p.element(i)
		if err != nil {
			return fmt.Errorf("page %d: %w", id, err)
		}
		next := high
		if i+1 < p.count {
			after, err := p.element(i + 1)
			if err != nil {
				return fmt.Errorf("page %d: %w", id, err)
			}
			next = after.key
		}
		if err := inOrder(e.key, low, next); err != nil {
			return fmt.Errorf("page %d: %w", id, err)
		}
		if err := c.checkTree(e.child, depth+1, e.key, next); err != nil {
			return err
		}
		low = e.key
	}
	return nil
}

// checkFreelist checks that the free pages are those that the tree doesn't use.
func (c *checker) checkFreelist() error {
	p, err := c.page(c.meta.freelist, 0)
	if err != nil {
		return err
	}
	if p.kind != freelistPage {
		return errors.New("the list of free pages is none")
	}
	count, ids := uint64(p.count), p.raw[headerSize:]
	if count == 0xFFFF && len(ids) >= 8 { // too many for the field: the first element tells
		count, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return errors.New("the list of free pages is cut short")
	}
	for i := range count {
		if err := c.use(binary.NativeEndian.Uint64(ids[8*i:]), 0); err != nil {
			return fmt.Errorf("list of free pages: %w", err)
		}
	}
	return nil
}

// page reads the page with its overflow into the buffer for depth, and notes
// that it is in use.
func (c *checker) page(id uint64, depth int) (page, error) {
	for len(c.pageBufs) <= depth {
		c.pageBufs = append(c.pageBufs, make([]byte, c.meta.pageSize))
	}
	if err := c.use(id, 0); err != nil {
		return page{}, err
	}
	size, at := int64(c.meta.pageSize), int64(id)*int64(c.meta.pageSize)
	buf := c.pageBufs[depth][:size]
	if _, err := c.file.ReadAt(buf, at); err != nil {
		return page{}, err
	}
	overflow := uint64(binary.NativeEndian.Uint32(buf[12:]))
	if overflow > 0 {
		if err := c.use(id+1, overflow-1); err != nil {
			return page{}, err
		}
		whole := size * int64(1+overflow)
		if int64(cap(buf)) < whole {
			c.pageBufs[depth] = append(make([]byte, 0, whole), buf...)
		}
		buf = c.pageBufs[depth][:whole]
		if _, err := c.file.ReadAt(buf[size:], at+size); err != nil {
			return page{}, err
		}
	}
	if own := binary.NativeEndian.Uint64(buf); own != id {
		return page{}, fmt.Errorf("page %d says that it is page %d", id, own)
	}
	p, err := parsePage(buf)
	if err != nil {
		return page{}, fmt.Errorf("page %d: %w", id, err)
	}
	return p, nil
}

// use notes that page id and the more pages behind it are in use; twice is an
// error.
func (c *checker) use(id, more uint64) error {
	if id < 2 || id >= c.meta.pages || more >= c.meta.pages-id {
		return fmt.Errorf("page %d (and %d more) lies outside of the %d pages", id, more, c.meta.pages)
	}
	for ; ; id++ {
		if c.seen[id/64]&(1<<(id%64)) != 0 {
			return fmt.Errorf("page %d is used twice", id)
		}
		c.seen[id/64] |= 1 << (id % 64)
		if more == 0 {
			return nil
		}
		more--
	}
}

// page is one page, with its overflow, in memory.
type page struct {
	raw   []byte
	kind  uint16
	count int
}

type element struct {
	flags      uint32 // of a leaf
	key, value []byte // value: of a leaf
	child      uint64 // of a branch
}

func parsePage(raw []byte) (page, error) {
	if len(raw) < headerSize {
		return page{}, errors.New("cut short")
	}
	p := page{
		raw:   raw,
		kind:  binary.NativeEndian.Uint16(raw[8:]),
		count: int(binary.NativeEndian.Uint16(raw[10:])),
	}
	if (p.kind == leafPage || p.kind == branchPage) && headerSize+p.count*elementSize > len(raw) {
		return page{}, fmt.Errorf("%d elements don't fit", p.count)
	}
	return p, nil
}

func (p page) element(i int) (element, error) {
	b := p.raw[headerSize+i*elementSize:]
	order := binary.NativeEndian
	var e element
	var pos, keySize, valueSize uint64
	if p.kind == leafPage {
		e.flags = order.Uint32(b)
		pos, keySize, valueSize = uint64(order.Uint32(b[4:])), uint64(order.Uint32(b[8:])), uint64(order.Uint32(b[12:]))
	} else {
		pos, keySize, e.child = uint64(order.Uint32(b)), uint64(order.Uint32(b[4:])), order.Uint64(b[8:])
	}
	if keySize == 0 || pos < elementSize || pos+keySize+valueSize > uint64(len(b)) {
		return e, fmt.Errorf("element %d points outside of the page", i)
	}
	e.key, e.value = b[pos:pos+keySize], b[pos+keySize:pos+keySize+valueSize]
	return e, nil
}

// checkLeaf checks that all keys are in order, at least low, below high, and
// that no bucket is among them.
func (p page) checkLeaf(low, high []byte) error {
	for i := range p.count {
		e, err := p.element(i)
		if err != nil {
			return err
		}
		if e.flags != 0 {
			return fmt.Errorf("element %d is a bucket", i)
		}
		if err := inOrder(e.key, low, high); err != nil {
			return err
		}
		if i > 0 && bytes.Equal(e.key, low) {
			return errors.New("a key occurs twice")
		}
		low = e.key
	}
	return nil
}

func inOrder(key, low, high []byte) error {
	if bytes.Compare(key, low) < 0 || high != nil && bytes.Compare(key, high) >= 0 {
		return errors.New("keys out of order")
	}
	return nil
}
