package modem

import "testing"

func TestBuiltinProfiles(t *testing.T) {
	profiles, err := BuiltinProfiles()
	if err != nil || len(profiles) == 0 {
		t.Fatal(err)
	}
}
