package dispatch

import (
	"context"

	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// Report takes in a delivery report. It returns when the report is durable.
func (d *Dispatcher) Report(ctx context.Context, r modem.Report) error {
	hold := queue.NewID()
	matched := false
	report := queue.Report{
		IMSI: r.IMSI, Alias: r.Alias, MR: r.MR, Recipient: r.Recipient, SCTS: r.SCTS,
		Status: r.Status, Fate: queue.Fate(r.Outcome()),
	}
	if report.IMSI == "" {
		if err := d.o.Store.View(ctx, func(tx storage.Tx) (err error) {
			report.IMSI, err = d.whose(tx, report)
			return err
		}); err != nil {
			return err
		}
	}
	var at storage.Time
	missed := false // as told before the report; afterwards the index may know no more
	out, err := d.move(storage.WithPatience(ctx), func(tx storage.Tx) (out queue.Outcome, err error) {
		at = storage.TimeOf(tx.Now())
		out, matched, err = d.o.Queue.Reported(tx, report, hold)
		missed = matched && d.wasMissed(out)
		return out, err
	})
	if err == nil && matched {
		d.judgeReport(out, at, missed)
	}
	if err == nil && !matched {
		d.o.Logger.Debug("delivery report held: no attempt matches it yet", "mr", r.MR, "status", r.Status)
	}
	return err
}

// whose says which SIM a report is of that doesn't tell.
func (d *Dispatcher) whose(tx storage.Tx, r queue.Report) (string, error) {
	var all []string
	for after := ""; ; {
		some, err := d.o.Ledger.SIMs(tx, after, page)
		if err != nil {
			return "", err
		}
		if all = append(all, some...); len(some) < page {
			return d.o.Queue.Whose(tx, r, all)
		}
		after = some[len(some)-1]
	}
}
