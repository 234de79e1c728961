// Package sim is a simulated modem with its SIM, and the network, the service
// centre and the handsets around it. It serves operators who try the daemon
// without hardware, and tests.
//
// It knows ITU-T V.250, 3GPP TS 27.007, 27.005, 23.040 and 23.038, from their
// texts alone: it shares no code with the driver, so that what one gets wrong
// the other shows.
//
// What always holds:
//
//   - It is strict: what a modem refuses it refuses, and what a driver must
//     never do is counted as a [Violation].
//   - A [Message] is what the network took, once each, whatever the client was
//     told of it.
//   - A client that doesn't read, or reads late, holds up nobody else. What it
//     leaves unread beyond a bound is lost.
//   - All waiting is on timers and channels; with [Modem.Dial] everything runs
//     in the virtual time of testing/synctest. An air time of 0 costs no timer.
//
// A [Network] has [Modem]s, each with a port on a pty ([Modem.Plug]), in memory
// ([Modem.Dial]) or on any stream ([Modem.Serve]). [Run] puts it together as a
// program.
//
// # Kinds of modems
//
// A [Profile] is data: what a kind of modem says of itself, how it starts, what
// it takes and how it goes wrong. [ProfileNamed] has those of published modems
// and one for each odd behaviour. A composite device ([ModemConfig].Ports) has
// several ports with one power and one fate, all but one of which a driver
// should leave alone.
//
// # Input while a command is at work
//
// A modem that was given AT+CMGS and its message answers after the air time.
// What the client writes meanwhile is lost, and a command among it is a
// violation. While a prompt is due or open, ESC ends the command with OK, and
// unsolicited lines wait. What comes behind AT+CMGS before the client can have
// seen the prompt is lost, and a violation. Settings are those of V.250: only
// CR ends a line, LF and other control characters are ignored, backspace
// deletes, A/ repeats, and what stands before "AT" is ignored.
//
// # Delivery reports and messages to a modem
//
// The service centre forgets nothing: what a modem can't take (without power
// or registration, without a route by AT+CNMI, with a full memory, while
// AT+CNMA is due or a prompt open) it offers again as soon as that changes.
//
// [Modem.Receive] sends a modem a text, [Modem.ReceiveMessage] one in a chosen
// encoding, in parts and in any order, and [Modem.ReceiveTPDU] any octets.
// [USSD] is what the network answers to AT+CUSD.
//
// # What becomes of a message
//
// What the network takes a handset gets, and the modem its delivery report. A
// phone can be off ([Handset.Switch]): its messages wait until it is on, and one
// whose validity (TP-VP, or [NetworkConfig].Validity) ends before that is never
// delivered, and reported with TP-ST 70. A replace-type message takes the place
// of the one of its type and sender that the phone has.
//
// A network can do worse to a SIM, from one moment to the next and until that is
// lifted: [Modem.Ban] refuses its messages, [Modem.Swallow] takes them and
// forgets them, [Network.Outage] takes the network from all modems of an operator
// ([ModemConfig].Operator). [ReportChaos] drops, doubles, delays and shuffles
// delivery reports. All of it is in scripts and in live control too.
//
// # Breaches of protocol
//
// A violation is what a driver could have known better: a message without its
// prompt, of another length or in the wrong mode; a command while a message is
// in the air; AT+CNMA that nothing waits for; a PIN at its last try, or the same
// wrong one again; the list of all messages where it is known to hang. What
// comes while a modem starts is only counted ([Modem.Unheard]): a driver has no
// way to know but to ask.
//
// # Faults
//
// A [Fault] strikes On a point, limited by Match, To, Nth, Every and Count, and
// does what its [Action] says; each constant of both types is documented where
// it stands, and example.toml has them all as a script has them. Whether the
// network gets the message is told by the point alone: at "payload" it has not
// got it, and gets it only if the fault lets the modem go on (delay, hang with
// an end, second-prompt); at "accepted" it has it, whatever the client is told.
//
// [RandomMishaps] draws faults of most kinds by a seed, and [Network.Let] adds
// them as time passes.
package sim
