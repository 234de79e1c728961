package gateway

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"smsotpd/modem"
)

const (
	// EventBalanceLow: what is left on a prepaid SIM has fallen below what the
	// operator has set.
	EventBalanceLow modem.EventKind = "balance_low"
	// EventBalanceUnreadable: the answer to the code that asks for the balance
	// has no amount where it should.
	EventBalanceUnreadable modem.EventKind = "balance_unreadable"
)

// BalancePolicy says how the balance of one SIM is asked for.
type BalancePolicy struct {
	// Name is the operator's own for the SIM; it tells it where IMSI is "".
	Name, IMSI string
	// Code is the USSD code that asks, as "*100#".
	Code  string
	Every time.Duration
	// Pattern finds the amount in the answer: its group "amount", or its only
	// one.
	Pattern *regexp.Regexp
	// Low is the amount below which the operator is told, in the currency of the
	// answer; nil: never.
	Low *float64
}

// A network is not asked all the time.
const (
	leastBalanceEvery = 5 * time.Minute
	mostBalanceEvery  = 30 * 24 * time.Hour
)

// longestUSSDCode is the longest that a code in the 7-bit alphabet can be
// (TS 23.038, 6.1.2.3).
const longestUSSDCode = 182

// isBalanceCode tells whether code has the form of a USSD code that asks
// (TS 22.090, 4.2): digits between * or # and a # at the end. Codes that change
// a PIN are none (TS 22.030, 6.6.2).
func isBalanceCode(code string) bool {
	if len(code) < 3 || len(code) > longestUSSDCode || strings.Trim(code, "0123456789*#") != "" || strings.Trim(code, "*#") == "" {
		return false
	}
	changesPIN := strings.HasPrefix(code, "**04") || strings.HasPrefix(code, "**05")
	return strings.ContainsAny(code[:1], "*#") && strings.HasSuffix(code, "#") && !changesPIN
}

// Validate says all that is wrong, by the keys in the file.
func (p BalancePolicy) Validate() error {
	var errs []error
	if p.Name == "" && p.IMSI == "" {
		errs = append(errs, errors.New("it is not said of which SIM"))
	}
	if !isBalanceCode(p.Code) {
		errs = append(errs, errors.New(`code must be a USSD code that asks, such as "*100#"`))
	}
	if p.Every < leastBalanceEvery || p.Every > mostBalanceEvery {
		errs = append(errs, errors.New("every must be between 5m and 720h"))
	}
	if p.Low != nil && (math.IsNaN(*p.Low) || math.IsInf(*p.Low, 0)) {
		errs = append(errs, errors.New("low must be an amount, such as 2.0"))
	}
	return errors.Join(append(errs, p.validatePattern())...)
}

func (p BalancePolicy) validatePattern() error {
	if p.Pattern == nil || p.Pattern.String() == "" {
		return errors.New("pattern must not be empty: it finds the amount in the answer")
	}
	if n := p.Pattern.NumSubexp(); n != 1 && p.Pattern.SubexpIndex("amount") < 0 {
		return fmt.Errorf("pattern has %d groups: it needs one, or one named amount, as (?P<amount>[0-9]+)", n)
	}
	return nil
}

// low says whether the operator is to be told of the amount.
func (p BalancePolicy) low(amount float64) bool { return p.Low != nil && amount < *p.Low }

// read finds the amount in an answer.
func (p BalancePolicy) read(answer string) (amount float64, ok bool) {
	found := p.Pattern.FindStringSubmatch(answer)
	if found == nil {
		return 0, false
	}
	group := max(1, p.Pattern.SubexpIndex("amount"))
	return parseAmount(found[group])
}

// longestAmount bounds the digits of an amount to what a float64 keeps exactly.
const longestAmount = 15

// parseAmount reads an amount as people write it: the last separator is that of
// decimals if one or two digits follow it, or a lone 0 stands before it; all others
// group digits. What stands
// before and behind the number, as a currency, is passed over.
func parseAmount(s string) (amount float64, ok bool) {
	begin := strings.IndexFunc(s, isDigit)
	if begin < 0 {
		return 0, false
	}
	sign := 1.0
	if before := strings.TrimRight(s[:begin], " \u00a0"); strings.HasSuffix(before, "-") || strings.HasSuffix(before, "\u2212") {
		sign = -1
	}
	parts, separators := digitGroups(s[begin:])
	whole, decimals := parts, ""
	small := len(parts) == 2 && parts[0] == "0" // as in 0.250, of a currency with three decimals
	if last := len(parts) - 1; last > 0 && (small || len(parts[last]) <= 2) && separators[last-1] != ' ' {
		whole, decimals = parts[:last], parts[last]
	}
	for i, part := range whole[1:] { // of three, or as in India of two but for the last
		if len(part) != 3 && (len(part) != 2 || i == len(whole)-2) || len(whole[0]) > 3 {
			return 0, false
		}
	}
	digits := strings.Join(whole, "")
	if len(digits) > longestAmount {
		return 0, false
	}
	amount, err := strconv.ParseFloat(digits+"."+decimals+"0", 64)
	return sign * amount, err == nil
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// digitGroups are the digits that s begins with, and the single separators
// between them. A space separates only what three digits follow.
func digitGroups(s string) (groups []string, separators []rune) {
	for {
		end := strings.IndexFunc(s, func(r rune) bool { return !isDigit(r) })
		if end < 0 {
			return append(groups, s), separators
		}
		groups, s = append(groups, s[:end]), s[end:]
		r, rest := cutSeparator(s)
		if r == 0 || rest == "" || !isDigit(rune(rest[0])) {
			return groups, separators
		}
		if r == ' ' && strings.IndexFunc(rest+" ", func(r rune) bool { return !isDigit(r) }) != 3 {
			return groups, separators
		}
		separators, s = append(separators, r), rest
	}
}

// cutSeparator cuts off what may separate digits, and says in one form what it
// is; 0 for nothing.
func cutSeparator(s string) (r rune, rest string) {
	for _, c := range [...]struct {
		text string
		r    rune
	}{{".", '.'}, {",", ','}, {"'", '\''}, {"\u2019", '\''}, {" ", ' '}, {"\u00a0", ' '}, {"\u202f", ' '}} {
		if rest, found := strings.CutPrefix(s, c.text); found {
			return c.r, rest
		}
	}
	return 0, s
}
