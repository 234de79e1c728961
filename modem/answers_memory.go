package modem

import (
	"slices"
	"strconv"
	"strings"
)

// storedMessage is what AT+CMGR answered, 27.005 3.4.2.
type storedMessage struct {
	body         string // the PDU in hex, "" where there was none
	octets       int    // of the TPDU, 0 if that was not said
	unsent, sent bool   // <stat> 2 and 3
	textual      bool   // it is in text mode
}

// parseStored reads
//
//	+CMGR: <stat>,[<alpha>],<length>
//	<pdu>
//
// and what modems make of it: without alpha, or without the first line.
func parseStored(info []string) storedMessage {
	var m storedMessage
	for i, line := range info {
		rest, ok := strings.CutPrefix(line, "+CMGR")
		if !ok {
			if len(line) > 20 && isPDU(line) {
				m.body = line
			}
			continue
		}
		f := fields(strings.TrimLeft(rest, ": "))
		stat, err := strconv.Atoi(f[0])
		m = storedMessage{unsent: err == nil && stat == 2, sent: err == nil && stat == 3, textual: err != nil && f[0] != ""}
		m.octets = pduLength(line)
		if i+1 < len(info) {
			m.body = strings.TrimSpace(info[i+1])
		}
		if raw, err := decodeTPDU(m.body, m.octets); err == nil && m.octets > 0 && len(raw) == m.octets {
			word := strings.ToUpper(f[0]) // some name <stat> by a word in PDU mode too
			m.textual, m.unsent, m.sent = false, m.unsent || word == "STO UNSENT", m.sent || word == "STO SENT"
		}
		return m
	}
	return m
}

func isPDU(line string) bool {
	return len(line)%2 == 0 && strings.Trim(line, "0123456789ABCDEFabcdef") == ""
}

// memoryLists reads the answer of AT+CPMS=?: the memories to be read from, to
// be written to and to receive, as in ("SM","ME"),("SM"),().
func memoryLists(s string) [][]string {
	var lists [][]string
	for _, field := range fields(s) {
		var names []string
		for _, name := range strings.Split(strings.Trim(field, "() "), ",") {
			if name = strings.Trim(name, "\" "); isMemory(name) {
				names = append(names, name)
			}
		}
		lists = append(lists, names)
	}
	return lists
}

// isMemory tells names of memories: SM, ME, MT, SR, SM_P, ….
func isMemory(s string) bool {
	return len(s) >= 2 && len(s) <= 5 && s[0] >= 'A' && s[0] <= 'Z' && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// memoryUse is one memory in the answer of AT+CPMS?.
type memoryUse struct {
	name string
	usage
}

// memoryUsage reads "SM",3,20,"SM",3,20,"ME",0,50; numbers may be missing.
func memoryUsage(s string) []memoryUse {
	var all []memoryUse
	numbers := 0
	for _, f := range fields(s) {
		n, err := strconv.Atoi(f)
		switch {
		case isMemory(f):
			all = append(all, memoryUse{name: f})
			numbers = 0
		case err != nil || n < 0 || len(all) == 0:
		default:
			last := &all[len(all)-1]
			if numbers == 0 {
				last.used = n
			} else if numbers == 1 {
				last.total = n
			}
			numbers++
		}
	}
	return all
}

// firstUsage reads the answer of AT+CPMS="…": 3,20,3,20,0,50, with or without
// names.
func firstUsage(s string) usage {
	var numbers []int
	for _, f := range fields(s) {
		if n, err := strconv.Atoi(f); err == nil && n >= 0 {
			numbers = append(numbers, n)
		}
	}
	if len(numbers) < 2 {
		return usage{}
	}
	return usage{used: numbers[0], total: numbers[1]}
}

// distinctMemories are the names without those that overlap with one before
// them: the one to receive goes first, and then that of reports to the front.
func distinctMemories(names []string, receiving string) []string {
	var distinct []string
	for _, name := range append([]string{receiving}, names...) {
		if name == "" || len(distinct) == maxMemories || slices.ContainsFunc(distinct, func(d string) bool { return d == name || overlap(d, name) }) {
			continue
		}
		distinct = append(distinct, name)
	}
	slices.SortStableFunc(distinct, func(a, b string) int { return reportsLast(b) - reportsLast(a) })
	return distinct
}

// maxMemories bounds the memories that are looked through.
const maxMemories = 8

func reportsLast(name string) int {
	if name == "SR" {
		return 1
	}
	return 0
}

// overlap tells memories that show the same messages: MT is ME and SM in one,
// and "_P" marks the preferred one of two.
func overlap(a, b string) bool {
	if a == b {
		return false
	}
	in := func(whole, part string) bool { return whole == "MT" && (part == "ME" || part == "SM") }
	return in(a, b) || in(b, a) || strings.TrimSuffix(a, "_P") == strings.TrimSuffix(b, "_P")
}

// storedIndex reads +CMTI: <mem>,<index> and +CDSI: <mem>,<index>; ok is
// false where nothing is stored, as in "+CMTI: ,-1".
func storedIndex(line string) (mem string, index int, ok bool) {
	_, rest, _ := strings.Cut(line, ":")
	f := fields(rest)
	if len(f) == 1 { // the index alone
		f = []string{"", f[0]}
	}
	if len(f) < 2 {
		return "", 0, false
	}
	n, err := strconv.Atoi(f[1])
	if err != nil || n < 0 || n > maxTotal {
		return "", 0, false
	}
	if !isMemory(f[0]) {
		return "", n, f[0] == ""
	}
	return f[0], n, true
}

// pduLength is the TPDU's length in octets by the header line of +CMT, +CDS,
// +CBM or +CMGR, its last number; 0 if there is none.
func pduLength(line string) int {
	_, rest, _ := strings.Cut(line, ":")
	f := fields(rest)
	if len(f) == 0 {
		return 0
	}
	n, err := strconv.Atoi(f[len(f)-1])
	if err != nil || n < 0 {
		return 0
	}
	return n
}
