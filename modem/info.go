package modem

import (
	"log/slog"
	"slices"
	"sync/atomic"
)

// Info is what a Line's caller chooses by: who the modem and its SIM are, and
// what can be asked of them.
type Info struct {
	// Modem is the modem's name.
	Modem string
	// IMEI of the modem, "" where it does not tell; IMSI as Line.IMSI.
	IMEI, IMSI string
	// Card is the Name of the operator's Card that the SIM is, Number its own
	// number from there, "+" and digits; both "" where there is none.
	Card, Number string
	// EnhancedValidity: TP-VP in the enhanced format is known to work with this
	// kind of modem, and nothing has refused it since its port was opened.
	EnhancedValidity bool
	// KeepsLink: the modem keeps its link to the network for some seconds after
	// a message (AT+CMMS), so that the next one takes less time.
	KeepsLink bool
}

// String keeps number and identity out of logs.
func (i Info) String() string { return "modem " + i.Modem }

// GoString keeps number and identity out of logs.
func (i Info) GoString() string { return i.String() }

// LogValue keeps number and identity out of logs.
func (i Info) LogValue() slog.Value { return slog.StringValue(i.String()) }

// Info is what is known of the line's modem and SIM now.
func (l *Line) Info() Info {
	return Info{
		Modem: l.name, IMEI: l.IMEI(), IMSI: l.IMSI(), Card: l.card.Name, Number: l.card.Number,
		EnhancedValidity: slices.Contains(l.session.profile().Validity, ValidityEnhanced) && !l.unenhanced(),
		KeepsLink:        l.keepsLink,
	}
}

// refusal is the SIM with which something was refused. It holds for as long as
// the port is open and that SIM is in the modem.
type refusal struct{ sim atomic.Pointer[string] }

func (r *refusal) note(sim string) { r.sim.Store(&sim) }

func (r *refusal) holds(sim string) bool {
	refused := r.sim.Load()
	return refused != nil && *refused == sim
}

// unenhanced tells whether the modem or the SIM's service centre has refused
// TP-VP in the enhanced format.
func (l *Line) unenhanced() bool { return l.session.noEnhanced.holds(l.IMSI()) }
