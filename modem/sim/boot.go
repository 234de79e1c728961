package sim

// boot starts the modem anew: settings are lost, and the profile's lines come.
func (m *Modem) boot() {
	m.life++
	m.hung = false
	m.sim.removePIN()
	m.smsReady, m.function, m.functionBusy = false, 0, 0
	m.given = map[string]bool{}
	if m.config.Profile.References == ReferencesRestart {
		m.mr = m.config.FirstMR
	}
	m.refuseUnacked()
	m.ussd = ussdSession{round: m.ussd.round + 1}
	m.channel = m.main
	for _, c := range m.channels {
		c.state = stateDeaf
		c.held, c.unsent, c.sending, c.line = nil, nil, nil, nil
	}
	m.reset()
	m.network.config.Logger.Info("modem starts", "modem", m.index)
	steps := m.config.Profile.Boot
	if len(steps) == 0 {
		steps = []BootStep{{Listens: true}}
	}
	for i, step := range steps {
		m.after(step.After, func() {
			m.bootStep(step, i == len(steps)-1)
		})
	}
}

func (m *Modem) bootStep(s BootStep, last bool) {
	if s.Listens {
		m.listen()
	}
	if last {
		m.ready()
	}
	if s.Line == cpinReadyLine && m.sim.cpin() != "READY" {
		s.Line = "+CPIN: " + m.sim.cpin()
	}
	if s.Line != "" {
		m.unsolicited(s.Line)
	}
	if last {
		m.strike(OnBoot, subject{})
		m.pump()
	}
}

const cpinReadyLine = "+CPIN: READY"

// listen takes commands from now on.
func (m *Modem) listen() {
	for _, c := range m.channels {
		if c.state == stateDeaf {
			c.state = stateCommand
		}
	}
}

// ready is the modem after it has started.
func (m *Modem) ready() {
	m.listen()
	m.stream()
	m.function = m.config.Profile.BootCFUN
	switch m.function {
	case 0:
		m.function = 1
	case -1:
		m.function = 0
	}
	m.simBusy = m.config.Profile.SIMBusy
	m.smsReady = true
	m.registration = m.config.Profile.Registration
	for _, c := range m.config.Profile.Chatter {
		m.chatter(c)
	}
}

// chatter says its line again and again.
func (m *Modem) chatter(c Chatter) {
	m.after(c.Every, func() {
		if !m.given[c.Off] {
			m.unsolicited(c.Line)
		}
		m.chatter(c)
	})
}
