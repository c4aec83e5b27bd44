package doctor

import (
	"context"
	"errors"

	"culvert/app/forwarder"
	"culvert/app/target"
	"culvert/backend/wire"
)

// service connects to the local service as tunnels do, or looks for the folder.
func (e *examination) service(ctx context.Context) Check {
	if e.Target == (target.Target{}) {
		return Check{State: Skipped, Detail: "no local service was named"}
	}
	f, err := forwarder.New(forwarder.Config{Target: e.Target, RootCAs: e.RootCAs})
	if err != nil {
		return Check{State: Failed, Detail: tidy(err.Error()), Advice: "Name the local service, such as 3000."}
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(ctx, e.limits.service)
	defer cancel()
	err = f.Check(ctx)
	var reset *wire.ResetError
	switch {
	case err == nil && e.Target.IsFolder():
		return Check{State: OK, Detail: tidy(e.Target.String()) + " is there and can be read"}
	case err == nil:
		return Check{State: OK, Detail: e.Target.String() + " takes connections"}
	case errors.As(err, &reset) && reset.Message != "":
		return Check{State: Failed, Detail: tidy(reset.Message), Advice: "Start the service, or correct its address; visitors are told the same until then."}
	}
	return Check{State: Failed, Detail: tidy(err.Error()), Advice: "Start the service, or correct its address."}
}
