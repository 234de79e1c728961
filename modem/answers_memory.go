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
	untold       bool   // <stat> was not said
	textual      bool   // it is in text mode
}

// parseStored reads
//
//	+CMGR: <stat>,[<alpha>],<length>
//	<pdu>
//
// and what modems make of it: without alpha, without the first line, with the
// PDU in it, in quotes or in several lines, or with the prefix of +CMGL.
func parseStored(info []string) storedMessage {
	head := slices.IndexFunc(info, headsMessage)
	if head < 0 {
		body := joinPDU("", info)
		if len(body) <= 20 {
			return storedMessage{}
		}
		return storedMessage{body: body, untold: true}
	}
	m, _ := parseEntry(info[head], info[head+1:])
	return m
}

// listed is one message of AT+CMGL.
type listed struct {
	index int
	storedMessage
}

// parseList reads the answer of AT+CMGL, 27.005 3.4.3: entries like those of
// AT+CMGR, each with its index in front.
func parseList(info []string) []listed {
	var all []listed
	for i := 0; i < len(info); {
		end := i + 1
		for end < len(info) && !headsMessage(info[end]) {
			end++
		}
		if headsMessage(info[i]) {
			if m, index := parseEntry(info[i], info[i+1:end]); index >= 0 {
				all = append(all, listed{index, m})
			}
		}
		i = end
	}
	return all
}

func headsMessage(line string) bool {
	return strings.HasPrefix(line, "+CMGR") || strings.HasPrefix(line, "+CMGL")
}

// parseEntry reads a message's header and what follows it. index is -1 where
// the header has none.
func parseEntry(header string, lines []string) (m storedMessage, index int) {
	f := fields(strings.TrimLeft(header[len("+CMGR"):], ": "))
	index = -1
	if strings.HasPrefix(header, "+CMGL") && (len(f) > 3 || len(f) == 3 && isState(f[1])) {
		if n, err := strconv.Atoi(f[0]); err == nil && n <= maxTotal {
			index = n
		}
		f = f[1:]
	}
	if last := f[len(f)-1]; len(last) > 20 && isPDU(last) {
		m.body, f = last, f[:len(f)-1]
	}
	if len(f) > 0 {
		stat, err := strconv.Atoi(f[0])
		m.unsent, m.sent, m.textual = err == nil && stat == 2, err == nil && stat == 3, err != nil && f[0] != ""
		m.octets = lengthIn(f)
	}
	m.untold = len(f) == 0 || f[0] == ""
	if len(lines) > 0 && m.body == "" {
		m.body, lines = unquoted(lines[0]), lines[1:]
	}
	m.body = joinPDU(m.body, lines)
	if raw, err := decodeTPDU(m.body, m.octets); err == nil && m.octets > 0 && len(raw) == m.octets {
		word := strings.ToUpper(f[0]) // some name <stat> by a word in PDU mode too
		m.textual, m.unsent, m.sent = false, m.unsent || word == "STO UNSENT", m.sent || word == "STO SENT"
	}
	return m, index
}

// isState tells the values of <stat> in PDU mode, 27.005 3.1.
func isState(s string) bool { return len(s) == 1 && s[0] >= '0' && s[0] <= '4' }

// joinPDU appends the lines that are hexadecimal to what there is of a PDU:
// some modems break it.
func joinPDU(body string, lines []string) string {
	for _, line := range lines {
		if line = unquoted(line); line != "" && strings.Trim(line, "0123456789ABCDEFabcdef") == "" {
			body += line
		}
	}
	return body
}

func unquoted(s string) string { return strings.Trim(s, "\" ") }

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

// pduLength is the TPDU's length in octets by the header line of +CMT, +CDS or
// +CBM, its last number; 0 if there is none.
func pduLength(line string) int {
	_, rest, _ := strings.Cut(line, ":")
	return lengthIn(fields(rest))
}

func lengthIn(fields []string) int {
	n, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil || n < 0 {
		return 0
	}
	return n
}
