package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// memory is one message store with numbered places.
type memory struct {
	slots    []*stored
	toldFull bool // since there last was room
}

type stored struct {
	in   incoming
	read bool
}

func (p Profile) newMemories() map[string]*memory {
	memories := map[string]*memory{}
	for _, mem := range p.Memories {
		if mem.SameAs == "" {
			memories[mem.Name] = &memory{slots: make([]*stored, mem.Slots)}
		}
	}
	for _, mem := range p.Memories {
		if mem.SameAs != "" {
			memories[mem.Name] = memories[mem.SameAs]
		}
	}
	return memories
}

// memoriesAtStart are those in use after a start.
func (p Profile) memoriesAtStart() [3]string {
	if len(p.Memories) == 0 || p.MemoriesStart != [3]string{} {
		return p.MemoriesStart
	}
	first := p.Memories[0].Name
	return [3]string{first, first, first}
}

func (mem *memory) used() int {
	n := 0
	for _, s := range mem.slots {
		if s != nil {
			n++
		}
	}
	return n
}

// store puts a message into the first free place and returns its index.
func (m *Modem) store(name string, in incoming) (int, bool) {
	mem := m.memories[name]
	if mem == nil {
		return 0, false
	}
	free := slices.Index(mem.slots, nil)
	if free < 0 {
		if form := m.config.Profile.FullMessage; form != "" && !mem.toldFull {
			mem.toldFull = true
			m.unsolicited(fmt.Sprintf(form, name))
		}
		return 0, false
	}
	mem.toldFull = false
	mem.slots[free] = &stored{in: in}
	return free + m.config.Profile.FirstIndex, true
}

// setCPMS is AT+CPMS, TS 27.005 3.2.2.
func (m *Modem) setCPMS(c command) outcome {
	var names []string
	for _, mem := range m.config.Profile.Memories {
		names = append(names, mem.Name)
	}
	receive, most := m.config.Profile.ReceiveMemories, m.config.Profile.MemoriesCount
	if receive == nil {
		receive = names
	}
	if most == 0 {
		most = len(m.cpms)
	}
	switch c.form {
	case formTest:
		set := quotedList(names)
		return answer(fmt.Sprintf("+CPMS: (%s),(%s),(%s)", set, set, quotedList(receive)))
	case formRead:
		return answer("+CPMS: " + m.memoryState(true))
	case formExecute:
		return m.cms(cmsNotAllowed)
	}
	args := arguments(c.args)
	if len(args) > most {
		return m.cms(cmsNotAllowed)
	}
	for i, name := range args {
		if m.memories[name] == nil || i == 2 && !slices.Contains(receive, name) {
			return m.cms(cmsNotAllowed)
		}
	}
	copy(m.cpms[:], args)
	m.pumpSoon()
	return answer("+CPMS: " + m.memoryState(false))
}

func quotedList(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return `"` + strings.Join(names, `","`) + `"`
}

func (m *Modem) memoryState(names bool) string {
	var parts []string
	for _, name := range m.cpms {
		mem := m.memories[name]
		if mem == nil {
			mem = &memory{}
		}
		if names {
			parts = append(parts, `"`+name+`"`)
		}
		parts = append(parts, strconv.Itoa(mem.used()), strconv.Itoa(len(mem.slots)))
	}
	return strings.Join(parts, ",")
}

// place of AT+CMGR=<index> and AT+CMGD=<index> in the memory to read.
func (m *Modem) slot(index int) (**stored, bool) {
	mem := m.memories[m.cpms[0]]
	i := index - m.config.Profile.FirstIndex
	if mem == nil || index < 0 || i < 0 || i >= len(mem.slots) {
		return nil, false
	}
	return &mem.slots[i], true
}

// cmgr is AT+CMGR, TS 27.005 3.4.2 and 4.4.
func (m *Modem) cmgr(c command) outcome {
	if c.form == formTest {
		return answer()
	}
	values, ok := numbers(c.args)
	if c.form != formSet || !ok || len(values) != 1 {
		return m.cms(cmsInvalidIndex)
	}
	slot, ok := m.slot(values[0])
	switch {
	case !ok:
		return m.cms(cmsInvalidIndex)
	case *slot == nil && m.config.Profile.EmptyIsOK:
		return answer()
	case *slot == nil && m.config.Profile.EmptyIsBlank:
		const blank = "0006000081" + "00000000000000" + "00000000000000" + "00"
		return answer("+CMGR: 0,,19", blank)
	case *slot == nil:
		return m.cms(cmsInvalidIndex)
	}
	return answer(m.entry("+CMGR: ", *slot)...)
}

// cmgl is AT+CMGL, TS 27.005 3.4.3 and 4.1.
func (m *Modem) cmgl(c command) outcome {
	if c.form == formTest {
		if m.textMode {
			return answer(`+CMGL: ("REC UNREAD","REC READ","STO UNSENT","STO SENT","ALL")`)
		}
		return answer("+CMGL: (0-4)")
	}
	wanted := "0"
	if c.form == formSet {
		wanted = arguments(c.args)[0]
	}
	names := []string{"REC UNREAD", "REC READ", "STO UNSENT", "STO SENT", "ALL"}
	which := slices.Index(names, wanted)
	if !m.textMode {
		n, err := strconv.Atoi(wanted)
		which = n
		if err != nil {
			which = -1
		}
	}
	if which < 0 || which > 4 {
		return m.cms(cmsInvalidPDU)
	}
	var lines []string
	if mem := m.memories[m.cpms[0]]; mem != nil {
		for i, s := range mem.slots {
			if s != nil && (which == 4 || which == 1 && s.read || which == 0 && !s.read) {
				lines = append(lines, m.entry(fmt.Sprintf("+CMGL: %d,", i+m.config.Profile.FirstIndex), s)...)
			}
		}
	}
	if hang := m.config.Profile.CMGLHangs; hang > 0 && which == 4 {
		m.violate(ViolationHangs)
		m.after(hang, func() {
			m.info(lines...)
			m.finish(finalOK)
		})
		return outcome{pending: true}
	}
	return answer(lines...)
}

// entry is a stored message as AT+CMGR and AT+CMGL show it; it is read then.
func (m *Modem) entry(prefix string, s *stored) []string {
	stat, words := 0, "REC UNREAD"
	if s.read {
		stat, words = 1, "REC READ"
	}
	s.read = true
	if m.textMode {
		return s.in.text(prefix + `"` + words + `",`)
	}
	pdu := s.in.pdu(m.config.SMSC)
	return []string{fmt.Sprintf("%s%d,,%d", prefix, stat, tpduLength(pdu)), fmt.Sprintf("%X", pdu)}
}

// cmgd is AT+CMGD, TS 27.005 3.5.4, with <delflag>: 1 those read, 2 and 3 as 1
// since nothing sent is kept, 4 all.
func (m *Modem) cmgd(c command) outcome {
	mem := m.memories[m.cpms[0]]
	if c.form == formTest {
		return answer("+CMGD: (),(0-4)")
	}
	values, ok := numbers(c.args)
	if c.form != formSet || !ok || len(values) > 2 || mem == nil {
		return m.cms(cmsInvalidIndex)
	}
	if len(values) == 2 && values[1] > 4 {
		return m.cms(cmsInvalidIndex)
	}
	if len(values) == 2 && values[1] > 0 {
		for i, s := range mem.slots {
			if s != nil && (values[1] == 4 || s.read) {
				mem.slots[i] = nil
			}
		}
	} else {
		slot, ok := m.slot(values[0])
		if !ok {
			return m.cms(cmsInvalidIndex)
		}
		*slot = nil
		if i := values[0] - m.config.Profile.FirstIndex; m.config.Profile.ClosesGaps {
			mem.slots = append(slices.Delete(mem.slots, i, i+1), nil)
		}
	}
	m.pumpSoon()
	return answer()
}
