package tunnel

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/wire"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	live := &Record{ID: "shop", Owner: "key:a", Epoch: 5, Instance: "one", Named: true, Live: true, Seen: now.Add(-time.Hour)}
	gone := func(ago time.Duration, change func(*Record)) *Record {
		r := *live
		r.Live, r.Seen = false, now.Add(-ago)
		if change != nil {
			change(&r)
		}
		return &r
	}
	won := func(epoch int64, instance string, named bool) Record {
		return Record{ID: "shop", Owner: "key:a", Epoch: epoch, Instance: instance, Named: named, Live: true, Seen: now}
	}
	for _, c := range []struct {
		name  string
		cur   *Record
		claim Claim
		next  Record
		v     Verdict
		code  wire.ErrorCode
	}{
		{"a name nobody has", nil, Claim{Owner: "key:a", Instance: "one"}, won(1, "one", true), Granted, ""},
		{"a name without an owner", nil, Claim{}, Record{}, 0, wire.CodeUnauthorized},
		{"made up", nil, Claim{Owner: "key:a", Instance: "one", Fresh: true}, won(1, "one", false), Granted, ""},
		{"made up for nobody", nil, Claim{Fresh: true}, Record{ID: "shop", Epoch: 1, Live: true, Seen: now}, Granted, ""},
		{"back after the backend forgot everything", nil, Claim{Owner: "key:a", Instance: "one", Epoch: 7, Resumed: true}, won(8, "one", false), Granted, ""},
		{"nobody's, back after the backend forgot everything", nil, Claim{Instance: "one", Epoch: 7, Resumed: true},
			Record{ID: "shop", Epoch: 8, Instance: "one", Live: true, Seen: now}, Granted, ""},

		{"another owner, live", live, Claim{Owner: "key:b"}, Record{}, 0, wire.CodeNameTaken},
		{"another owner, offline", gone(time.Hour, nil), Claim{Owner: "key:b"}, Record{}, 0, wire.CodeNameTaken},
		{"another owner, just before the name is free", gone(KeepNamed-1, nil), Claim{Owner: "key:b"}, Record{}, 0, wire.CodeNameTaken},
		{"another owner, once it is free", gone(KeepNamed, nil), Claim{Owner: "key:a", Instance: "z"}, won(1, "z", true), Granted, ""},
		{"a made-up ID is kept, too", gone(KeepRandom-1, func(r *Record) { r.Named = false }), Claim{Owner: "key:b"}, Record{}, 0, wire.CodeNameTaken},
		{"but not as long", gone(KeepRandom, func(r *Record) { r.Named = false }), Claim{Owner: "key:a"}, won(1, "", true), Granted, ""},
		{"nobody's needs the secret", gone(time.Minute, func(r *Record) { r.Owner = "" }), Claim{}, Record{}, 0, wire.CodeNameTaken},
		{"nobody's with the secret", gone(time.Minute, func(r *Record) { r.Owner, r.Named = "", false }), Claim{Resumed: true, Epoch: 5},
			Record{ID: "shop", Epoch: 6, Live: true, Seen: now}, Granted, ""},

		{"offline, same owner, no secret", gone(time.Hour, nil), Claim{Owner: "key:a", Instance: "two"}, won(6, "two", true), Granted, ""},
		{"offline, same owner, stale epoch", gone(time.Hour, nil), Claim{Owner: "key:a", Instance: "two", Epoch: 2, Resumed: true}, won(6, "two", true), Granted, ""},
		{"offline, higher epoch than known", gone(time.Hour, nil), Claim{Owner: "key:a", Instance: "two", Epoch: 9, Resumed: true}, won(10, "two", true), Granted, ""},

		{"live, no secret", live, Claim{Owner: "key:a", Instance: "two"}, Record{}, Unproven, ""},
		{"live, no secret, same instance", live, Claim{Owner: "key:a", Instance: "one"}, Record{}, Unproven, ""},
		{"live, same instance", live, Claim{Owner: "key:a", Instance: "one", Epoch: 5, Resumed: true}, won(6, "one", true), Renewed, ""},
		{"live, same instance, stale epoch", live, Claim{Owner: "key:a", Instance: "one", Epoch: 3, Resumed: true}, won(6, "one", true), Renewed, ""},
		{"live, other instance", live, Claim{Owner: "key:a", Instance: "two", Epoch: 5, Resumed: true}, won(6, "two", true), TakenOver, ""},
		{"live, other instance, higher epoch", live, Claim{Owner: "key:a", Instance: "two", Epoch: 6, Resumed: true}, won(7, "two", true), TakenOver, ""},
		{"live, other instance, stale epoch", live, Claim{Owner: "key:a", Instance: "two", Epoch: 4, Resumed: true}, Record{}, 0, wire.CodeReplaced},
		{"no instances are not the same one", func() *Record { r := *live; r.Instance = ""; return &r }(),
			Claim{Owner: "key:a", Epoch: 5, Resumed: true}, won(6, "", true), TakenOver, ""},

		{"negative epoch", nil, Claim{Owner: "key:a", Epoch: -1}, Record{}, 0, wire.CodeInvalidRequest},
		{"epoch out of range", nil, Claim{Owner: "key:a", Epoch: MaxEpoch + 1}, Record{}, 0, wire.CodeInvalidRequest},
		{"epochs never leave the range", nil, Claim{Owner: "key:a", Epoch: MaxEpoch}, won(MaxEpoch, "", true), Granted, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.claim.ID = "shop"
			var before Record
			if c.cur != nil {
				before = *c.cur
			}
			next, v, err := Decide(c.cur, c.claim, now)
			if c.code != "" {
				var refusal *wire.Error
				if !errors.As(err, &refusal) || refusal.Code != c.code || refusal.Message == "" {
					t.Fatalf("got %+v, %v, %v; want a refusal with %s", next, v, err, c.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if v != c.v {
				t.Errorf("verdict %v, want %v", v, c.v)
			}
			if diff := cmp.Diff(c.next, next); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
			if c.cur != nil && *c.cur != before {
				t.Errorf("the record given was changed: %+v", c.cur)
			}
		})
	}
}

// Two sessions that both hold the secret must settle: the loser learns that it has lost.
func TestDecideSettles(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	claim := func(instance string, epoch int64) Claim {
		return Claim{ID: "shop", Owner: "key:a", Instance: instance, Epoch: epoch, Resumed: true}
	}
	first, _, err := Decide(nil, claim("one", 0), now)
	if err != nil {
		t.Fatal(err)
	}
	second, v, err := Decide(&first, claim("two", first.Epoch), now)
	if err != nil || v != TakenOver {
		t.Fatalf("second: %v, %v", v, err)
	}
	var refusal *wire.Error
	if _, _, err := Decide(&second, claim("one", first.Epoch), now); !errors.As(err, &refusal) || refusal.Code != wire.CodeReplaced {
		t.Errorf("the first came back with its old epoch: %v, want replaced", err)
	}
}
