package sim

import "strconv"

// +CME ERROR codes, TS 27.007 9.2.
const (
	cmeNotAllowed        = 3
	cmeNotSupported      = 4
	cmeSIMNotInserted    = 10
	cmeSIMPIN            = 11
	cmeSIMPUK            = 12
	cmeSIMFailure        = 13
	cmeSIMBusy           = 14
	cmeIncorrectPassword = 16
	cmeNoNetwork         = 30
	cmeParameters        = 50
	cmeUnknown           = 100
	cmeProcessing        = 515
)

// TP-Failure-Causes of a service centre, TS 23.040 9.2.3.22, which +CMS ERROR
// passes on.
const (
	fcsProtocol       = 0x8f // unspecified TP-PID error
	fcsValidityFormat = 0xc6 // TP-VPF not supported
)

// +CMS ERROR codes, TS 27.005 3.2.5.
const (
	cmsNotAllowed     = 302
	cmsNotSupported   = 303
	cmsInvalidPDU     = 304
	cmsInvalidText    = 305
	cmsSIMNotInserted = 310
	cmsSIMPIN         = 311
	cmsSIMBusy        = 314
	cmsSIMPUK         = 316
	cmsInvalidIndex   = 321
	cmsMemoryFull     = 322
	cmsSMSCUnknown    = 330
	cmsNoNetwork      = 331
	cmsNetworkTimeout = 332
	cmsNoAckExpected  = 340
)

// cmeText is the verbose form, AT+CMEE=2; "" where only the number is known.
func cmeText(code int) string {
	return map[int]string{
		cmeNotAllowed: "operation not allowed", cmeNotSupported: "operation not supported",
		cmeSIMNotInserted: "SIM not inserted", cmeSIMPIN: "SIM PIN required", cmeSIMPUK: "SIM PUK required",
		cmeSIMFailure: "SIM failure", cmeIncorrectPassword: "incorrect password",
		cmeSIMBusy: "SIM busy", cmeNoNetwork: "no network service", cmeParameters: "Incorrect parameters", cmeUnknown: "unknown",
	}[code]
}

func cmsText(code int) string {
	return map[int]string{
		cmsNotAllowed: "operation not allowed", cmsNotSupported: "operation not supported",
		cmsInvalidPDU: "invalid PDU mode parameter", cmsInvalidText: "invalid text mode parameter",
		cmsSIMNotInserted: "SIM not inserted", cmsSIMPIN: "SIM PIN required", cmsSIMPUK: "SIM PUK required",
		cmsInvalidIndex: "invalid memory index", cmsMemoryFull: "memory full", cmsSMSCUnknown: "SMSC address unknown",
		cmsNoNetwork: "no network service", cmsNetworkTimeout: "network timeout", cmsNoAckExpected: "no +CNMA acknowledgement expected", 500: "unknown error",
	}[code]
}

// cme is an error of the modem in the form that AT+CMEE asks for.
func (m *Modem) cme(code int) outcome { return outcome{final: m.cmeFinal(code)} }

func (m *Modem) cmeFinal(code int) string {
	switch {
	case m.cmee == 0:
		return finalError
	case m.cmee == 2 && cmeText(code) != "":
		return "+CME ERROR: " + cmeText(code)
	default:
		return "+CME ERROR: " + strconv.Itoa(code)
	}
}

// unknown is the answer to a command that the modem does not know.
func (m *Modem) unknown() outcome {
	if final := m.config.Profile.UnknownAnswer; final != "" {
		return outcome{final: final}
	}
	return m.cme(cmeUnknown)
}

// cms is an error of the message service. TS 27.005 knows no setting for it;
// modems follow AT+CMEE=2 with the verbose form.
func (m *Modem) cms(code int) outcome { return outcome{final: m.cmsFinal(code)} }

func (m *Modem) cmsFinal(code int) string {
	if m.cmee == 2 && cmsText(code) != "" {
		return "+CMS ERROR: " + cmsText(code)
	}
	return "+CMS ERROR: " + strconv.Itoa(code)
}
