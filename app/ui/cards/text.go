package cards

import (
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
)

// detailText stands beside the name: where the tunnel leads, and what is there.
func detailText(t model.Tunnel) string {
	text := t.Target
	if text == "" {
		text = t.Detail
	}
	if text == t.Name {
		text = "" // said already
	}
	extra := t.Framework
	if t.Folder {
		extra = words.T("folder")
	}
	switch {
	case extra == "":
		return text
	case text == "":
		return extra
	default:
		return text + " · " + extra
	}
}

// troubled reports whether the tunnel is online but of no use to visitors.
func troubled(t model.Tunnel) bool {
	return t.State == model.Online &&
		(t.Warning != "" || t.Lights.Service.State == model.LightDown || t.Lights.URL.State == model.LightDown)
}

// causeText says why the tunnel does not do what it should, and what becomes of its URL.
func causeText(t model.Tunnel) (string, fyne.ThemeColorName) {
	switch t.State {
	case model.Refused:
		return model.Sentence(t.Cause), look.ColorMuted
	case model.Reconnecting, model.Connecting:
		text := model.Sentence(t.Cause)
		if t.State == model.Reconnecting && t.URL != "" && text != "" {
			text += " " + words.T("The URL is kept; until then nobody reaches the service.")
		}
		return text, look.ColorMuted
	case model.Online:
		why := t.Warning
		if why == "" && t.Lights.Service.State == model.LightDown {
			why = t.Lights.Service.Cause
		}
		if why == "" && t.Lights.URL.State == model.LightDown {
			why = t.Lights.URL.Cause
		}
		return model.Sentence(why), look.ColorWarn
	default:
		return "", look.ColorMuted
	}
}

// whyWord says where one can find out why the link is down: the backend's checks stand
// beside its token, which is what to look at if that was refused.
func whyWord(t model.Tunnel) string {
	if t.State == model.Refused && t.TokenRefused && t.Profile != "" {
		return words.T("Settings")
	}
	return words.T("Why?")
}

// hazardText warns as long as others can reach what they should not.
func hazardText(t model.Tunnel) string {
	if t.Hazard == "" || !t.State.Running() {
		return ""
	}
	return model.Sentence(t.Hazard)
}

// statsText says how much came, and how long it took.
func statsText(t model.Tunnel) string {
	if t.Requests == 0 {
		return words.T("No request yet")
	}
	text := words.T("%d requests", t.Requests)
	if t.P50 > 0 || t.P95 > 0 {
		text += " · p50 " + model.Took(t.P50) + " · p95 " + model.Took(t.P95)
	}
	return text
}

// shortStats is statsText for narrow cards.
func shortStats(t model.Tunnel) string {
	if t.Requests == 0 || t.P50 == 0 && t.P95 == 0 {
		return statsText(t)
	}
	return words.T("%d requests", t.Requests) + " · " + model.Took(t.P50) + " / " + model.Took(t.P95)
}

func stateColor(s model.State) fyne.ThemeColorName {
	switch s {
	case model.Online:
		return look.ColorOK
	case model.Connecting, model.Reconnecting:
		return look.ColorWarn
	case model.Refused:
		return look.ColorBad
	default:
		return look.ColorMuted
	}
}

// lampState is how a light is drawn.
func lampState(s model.LightState) look.LampState {
	switch s {
	case model.LightChecking:
		return look.LampChecking
	case model.LightUp:
		return look.LampUp
	case model.LightDown:
		return look.LampDown
	case model.LightWaits:
		return look.LampWaits
	default:
		return look.LampOff
	}
}

// lightWord says in a word what a light shows.
func lightWord(s model.LightState) string {
	switch s {
	case model.LightChecking:
		return words.T("checking")
	case model.LightUp:
		return words.T("up")
	case model.LightDown:
		return words.T("down")
	case model.LightWaits:
		return words.T("waits")
	default:
		return words.T("unknown")
	}
}

// lightTip says all that is known of a light, beginning with what it is about.
func lightTip(about string, l model.Light, now time.Time) string {
	text := about + ": " + lightWord(l.State)
	if l.RTT > 0 {
		text += " · " + model.Took(l.RTT)
	}
	if !l.At.IsZero() {
		ago := now.Sub(l.At)
		if ago < 5*time.Second {
			text += " · " + words.T("checked just now")
		} else {
			text += " · " + words.T("checked %s ago", model.Elapsed(ago))
		}
	}
	if l.Cause != "" && l.State == model.LightDown {
		text += " · " + model.Sentence(l.Cause)
	}
	return text
}
