package modem

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// cards is what is known of the SIMs: the operator's settings, and for the
// Pool's life which SIM is which, which PINs were tried on it and which service
// centre it had.
type cards struct {
	set     []Card
	pinFile string
	memory  PINMemory // may be nil
	log     *slog.Logger

	mu sync.Mutex
	// Guarded by mu.
	imsis   map[string]string // by ICCID, or by "modem " and IMEI
	tried   map[string]bool   // PINs, by attempt
	pending map[string]string // the attempt of which the outcome is open, by modem
	centres map[string]string // service centre addresses, by IMSI
}

func newCards(cfg PoolConfig) *cards {
	return &cards{
		set:     cfg.Cards,
		pinFile: cfg.PINFile,
		memory:  cfg.PINs,
		log:     cfg.Logger,
		imsis:   make(map[string]string),
		tried:   make(map[string]bool),
		pending: make(map[string]string),
		centres: make(map[string]string),
	}
}

// find returns the settings for the SIM. A locked SIM shows no IMSI: it is then
// the one that it was when it was last seen, or, where the modem tells no
// ICCID either, the one that was last seen in this modem.
func (c *cards) find(id identity) (Card, bool) {
	imsi := id.imsi
	if imsi == "" {
		c.mu.Lock()
		imsi = c.imsis[simKey(id)]
		c.mu.Unlock()
	}
	return FindCard(c.set, imsi, id.iccid)
}

// FindCard is the one of cards that is the SIM with these identities, of which
// either may be unknown: "".
func FindCard(cards []Card, imsi, iccid string) (Card, bool) {
	for _, card := range cards {
		if sameICCID(card.ICCID, iccid) || card.IMSI != "" && card.IMSI == imsi {
			return card, true
		}
	}
	return Card{}, false
}

// learn remembers which SIM it is.
func (c *cards) learn(id identity) {
	if id.imsi == "" || simKey(id) == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.imsis[simKey(id)] = id.imsi
}

// simKey is what tells SIMs apart while they are locked; "" if nothing does.
func simKey(id identity) string {
	switch {
	case id.iccid != "":
		return id.iccid
	case id.imei != "":
		return "modem " + id.imei
	}
	return ""
}

// sameICCID compares two ICCIDs, of which one may lack the check digit or what
// follows it: ITU-T E.118.
func sameICCID(a, b string) bool {
	return len(a) >= minICCID && len(b) >= minICCID && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a))
}

// minICCID is the length of an ICCID without its check digit, at least.
const minICCID = 18

// centre remembers number as the SIM's service centre, or returns what it had
// if number is "".
func (c *cards) centre(imsi, number string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case imsi == "":
		return number
	case number != "":
		c.centres[imsi] = number
	}
	return c.centres[imsi]
}

// pin returns the PIN for the SIM, and the attempt that it would be. The error
// is for the operator, and says why there is none.
func (c *cards) pin(id identity, port string) (pin, attempt string, err error) {
	card, known := c.find(id)
	path := card.PINFile
	if path == "" {
		path = c.pinFile
	}
	if path == "" {
		return "", "", c.noPIN(card, known, id)
	}
	if pin, err = readPIN(path); err != nil {
		return "", "", fmt.Errorf("the SIM asks for its PIN: %w", err)
	}
	sim := simKey(id)
	if sim == "" {
		sim = "port " + port
	}
	attempt = sim + "/" + pin
	tried, err := c.wasTried(attempt)
	switch {
	case err != nil:
		c.log.Error("the memory of tried PINs can't be read", "error", err)
		return "", "", errors.New("whether the SIM's PIN was tried before can't be looked up, so it is not entered: see the log")
	case tried:
		return "", "", fmt.Errorf("the SIM did not take the PIN, which is not tried twice: "+
			"correct the PIN file %s, or turn the PIN off in a phone", path)
	}
	return pin, attempt, nil
}

// noPIN says which setting is missing.
func (c *cards) noPIN(card Card, known bool, id identity) error {
	const asks = "the SIM asks for its PIN, and no PIN file is configured: "
	switch {
	case known:
		return errors.New(asks + "set pin_file in [sim." + card.Name + "]")
	case len(c.set) == 0:
		return errors.New(asks + "set pin_file, or turn the PIN off in a phone")
	case len(id.iccid) >= minICCID:
		return errors.New(asks + "set iccid and pin_file in a [sim.NAME] for the SIM whose ICCID ends in " +
			id.iccid[len(id.iccid)-4:])
	}
	return errors.New(asks + "the modem does not tell which SIM it is, so only pin_file outside of all [sim.NAME] serves")
}

func (c *cards) wasTried(attempt string) (bool, error) {
	c.mu.Lock()
	tried := c.tried[attempt]
	c.mu.Unlock()
	if tried || c.memory == nil {
		return tried, nil
	}
	return c.memory.Tried(attempt)
}

// try remembers an attempt that is about to be made in a modem. Unless it
// returns nil the PIN must not be entered.
func (c *cards) try(modem, attempt string) error {
	c.mu.Lock()
	c.tried[attempt], c.pending[modem] = true, attempt
	c.mu.Unlock()
	if c.memory == nil {
		return nil
	}
	return c.memory.Try(attempt)
}

// taken is told that the SIM in a modem is open: the PIN that was entered there
// last, if one was, may be entered again after the next loss of power.
func (c *cards) taken(modem string) {
	attempt := c.refused(modem)
	if attempt == "" {
		return
	}
	c.mu.Lock()
	delete(c.tried, attempt)
	c.mu.Unlock()
	if c.memory == nil {
		return
	}
	if err := c.memory.Forget(attempt); err != nil {
		c.log.Error("a PIN that was taken stays noted as tried", "error", err)
	}
}

// refused ends the attempt that was made in a modem; it stays tried.
func (c *cards) refused(modem string) (attempt string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	attempt = c.pending[modem]
	delete(c.pending, modem)
	return attempt
}

// byICCID tells whether some SIM is known by its ICCID, or will have to be found
// by it when it is locked.
func (c *cards) byICCID() bool {
	return slices.ContainsFunc(c.set, func(card Card) bool { return card.ICCID != "" || card.PINFile != "" })
}
