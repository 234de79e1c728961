package budget

// Change is what is set of Limits, by their names in the configuration; nil leaves
// a limit as it is, and 0 lifts it.
type Change struct {
	// PerMinute, PerHour, PerDay and PerMonth bound the messages of a SIM.
	PerMinute *int `koanf:"per_minute" cbor:"1,keyasint,omitempty"`
	PerHour   *int `koanf:"per_hour" cbor:"2,keyasint,omitempty"`
	PerDay    *int `koanf:"per_day" cbor:"3,keyasint,omitempty"`
	PerMonth  *int `koanf:"per_month" cbor:"4,keyasint,omitempty"`
	// RecipientsPerMonth bounds the distinct numbers that it sends to.
	RecipientsPerMonth *int `koanf:"recipients_per_month" cbor:"5,keyasint,omitempty"`
	// SegmentsPerDay and SegmentsPerMonth bound what the network counts: a
	// long message has several segments.
	SegmentsPerDay   *int `koanf:"segments_per_day" cbor:"6,keyasint,omitempty"`
	SegmentsPerMonth *int `koanf:"segments_per_month" cbor:"7,keyasint,omitempty"`
	// NoticesPerMinute and NoticesPerDay bound the notices among its messages.
	NoticesPerMinute *int `koanf:"notices_per_minute" cbor:"8,keyasint,omitempty"`
	NoticesPerDay    *int `koanf:"notices_per_day" cbor:"9,keyasint,omitempty"`
	// Reserve is the share of each limit, in percent, that only codes may use.
	Reserve *int `koanf:"reserve" cbor:"10,keyasint,omitempty"`
	// WarmUpDays are the days in which the limit of a new SIM grows from
	// WarmUpStart messages to PerDay.
	WarmUpDays  *int `koanf:"warm_up_days" cbor:"11,keyasint,omitempty"`
	WarmUpStart *int `koanf:"warm_up_start" cbor:"12,keyasint,omitempty"`
}

// Key is one limit of a Change by its name, and where its value is.
type Key struct {
	Name  string
	Value **int
}

// Keys are all limits, in the order in which they are listed.
func (c *Change) Keys() []Key {
	return []Key{
		{"per_minute", &c.PerMinute},
		{"per_hour", &c.PerHour},
		{"per_day", &c.PerDay},
		{"per_month", &c.PerMonth},
		{"recipients_per_month", &c.RecipientsPerMonth},
		{"segments_per_day", &c.SegmentsPerDay},
		{"segments_per_month", &c.SegmentsPerMonth},
		{"notices_per_minute", &c.NoticesPerMinute},
		{"notices_per_day", &c.NoticesPerDay},
		{"reserve", &c.Reserve},
		{"warm_up_days", &c.WarmUpDays},
		{"warm_up_start", &c.WarmUpStart},
	}
}

// Set are the limits that the change sets, by name.
func (c Change) Set() map[string]int {
	set := map[string]int{}
	for _, key := range c.Keys() {
		if v := *key.Value; v != nil {
			set[key.Name] = *v
		}
	}
	return set
}

// Over is the base with what the change sets.
func (c Change) Over(base Limits) Limits {
	if c == (Change{}) { // as it is for each message of most SIMs
		return base
	}
	set := c.Set()
	for _, s := range base.settings() {
		if v, ok := set[s.key]; ok {
			*s.value = v
		}
	}
	return base
}
