package engine

import (
	"slices"

	"culvert/app/session"
)

// Edit gives a tunnel another Spec. Its key, its place and what it has counted stay, and
// so does its URL unless the backend or the name changes. Requests under way are not
// disturbed; if the link has to be made anew, they have as long to end as with Stop. A
// tunnel that was refused tries again if what it was refused for may have changed. The
// tunnel's events are Edited and those of its session.
func (e *Engine) Edit(key string, spec Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	t := e.Tunnel(key)
	if t == nil {
		return ErrNoTunnel
	}
	return t.edit(spec)
}

func (t *Tunnel) edit(spec Spec) error {
	old, err := t.rewire(spec)
	if err == nil {
		old.retire() // which may take a moment
	}
	return err
}

// rewire gives the wiring that is no longer in force.
func (t *Tunnel) rewire(spec Spec) (old *wiring, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return nil, ErrNoTunnel
	}
	w, err := t.newWiring(spec)
	if err != nil {
		return nil, err
	}
	old = t.wired.Swap(w)

	kept, relink := t.keepsURL(&old.spec, &spec), linksAnew(&old.spec, &spec)
	relink = relink || t.refused && old.spec.Token != spec.Token
	if kept {
		t.leg.wire(t.dialer(w)) // the next connection's; this one goes on unless it must not
	} else {
		t.leg, relink = t.newLeg(w), true
	}
	if relink && (t.want || t.refused) {
		t.want, t.refused = true, false
		t.wakeUp()
		if t.stop != nil {
			t.restarting = true
			t.stop()
		}
	}
	t.edited.Store(true)
	t.prober.retarget(kept && !relink)
	return old, nil
}

// keepsURL reports whether a session for the one Spec is one for the other.
func (t *Tunnel) keepsURL(old, spec *Spec) bool {
	if !sameBackend(old, spec) {
		return false
	}
	// What the backend has chosen may be made the name.
	return spec.Name == old.Name || spec.Name != "" && spec.Name == t.leg.session.Status().Established.TunnelID
}

func sameBackend(a, b *Spec) bool {
	if a.BuiltIn() || b.BuiltIn() {
		return a.BuiltIn() == b.BuiltIn()
	}
	return a.Backend.String() == b.Backend.String()
}

// linksAnew reports whether a connection for the one Spec is none for the other. The
// built-in relay asks for nothing of a Spec.
func linksAnew(a, b *Spec) bool {
	if b.BuiltIn() {
		return false
	}
	// What a file had in it then and has now is the link's to know.
	renewed := a.TokenFile != "" && a.TokenFile == b.TokenFile
	return a.Token != b.Token && !renewed || !a.RootCAs.Equal(b.RootCAs)
}

// OpenStopped is Open for a tunnel that waits for its Start. Its first event is the
// StatusChanged that says so.
func (e *Engine) OpenStopped(spec Spec) (*Tunnel, error) { return e.open(spec, false) }

// Move puts a tunnel at another place in the order of Tunnels; 0 is the first.
func (e *Engine) Move(key string, index int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	from := slices.IndexFunc(e.tunnels, func(t *Tunnel) bool { return t.key == key })
	if from < 0 {
		return
	}
	t := e.tunnels[from]
	e.tunnels = slices.Delete(e.tunnels, from, from+1)
	e.tunnels = slices.Insert(e.tunnels, min(max(index, 0), len(e.tunnels)), t)
}

// onStatus passes on what the session says, unless it is only on its way to another Spec.
func (t *Tunnel) onStatus(s session.Status) {
	t.mu.Lock()
	if t.restarting {
		t.mu.Unlock()
		return
	}
	if s.State == session.Refused {
		t.refused = true
	}
	t.mu.Unlock()
	s = t.told(s)
	t.prober.link(s)
	t.emit(StatusChanged{t, s})
}
