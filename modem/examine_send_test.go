package modem

import "testing"

// Where national numbers are short, a report may have few of the digits.
func TestLastDigits(t *testing.T) {
	for number, written := range map[string]string{
		"+33612345678": "0612345678", "+3546111234": "6111234", "+298211234": "211234", "+50051234": "51234",
	} {
		if lastDigits(number) != lastDigits(written) {
			t.Errorf("%s is not taken for %s", written, number)
		}
	}
}
