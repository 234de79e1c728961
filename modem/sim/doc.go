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
// # Faults
//
// A [Fault] strikes On a point, limited by Match, To, Nth, Every and Count, and
// does what its [Action] says; each constant of both types is documented where
// it stands, and example.toml has them all as a script has them. Whether the
// network gets the message is told by the point alone: at "payload" it has not
// got it, and gets it only if the fault lets the modem go on (delay, hang with
// an end, second-prompt); at "accepted" it has it, whatever the client is told.
package sim
