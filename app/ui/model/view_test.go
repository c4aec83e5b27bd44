package model

import (
	"strings"
	"testing"
)

func add(s *Store, tunnel, path string, status int) *Request {
	r := &Request{Tunnel: tunnel, Name: "localhost:300" + tunnel, Method: "GET", Path: path, Status: status, Visitor: "192.0.2.1"}
	s.AddRequest(r)
	return r
}

func paths(v *View) string {
	var b strings.Builder
	for i := range v.Len() {
		b.WriteString(v.At(i).Path)
	}
	return b.String()
}

func TestViewFollowsNewestFirst(t *testing.T) {
	t.Parallel()
	s := NewStore()
	v := NewView(s)
	add(s, "1", "/a", 200)
	add(s, "1", "/b", 200)
	if !v.Sync() || paths(v) != "/b/a" {
		t.Fatalf("rows are %q, want the newest first", paths(v))
	}
	if v.Sync() {
		t.Error("Sync reports a change where there is none")
	}
}

func TestViewFilters(t *testing.T) {
	t.Parallel()
	s := NewStore()
	v := NewView(s)
	add(s, "1", "/shop", 200)
	add(s, "2", "/admin", 404)
	add(s, "1", "/ADMIN?x=1", 500)
	for _, tt := range []struct{ name, tunnel, text, want string }{
		{"all", "", "", "/ADMIN?x=1/admin/shop"},
		{"one tunnel", "1", "", "/ADMIN?x=1/shop"},
		{"text, any case", "", "aDmIn", "/ADMIN?x=1/admin"},
		{"status", "", "404", "/admin"},
		{"status class by prefix", "", "5", "/ADMIN?x=1"},
		{"visitor", "", "192.0.2", "/ADMIN?x=1/admin/shop"},
		{"tunnel by its name", "", "LOCALHOST:3002", "/admin"},
		{"every word must match", "", "get admin 404", "/admin"},
		{"nothing", "", "nowhere", ""},
	} {
		v.SetFilter(Filter{Tunnel: tt.tunnel, Text: tt.text})
		if got := paths(v); got != tt.want {
			t.Errorf("%s: rows %q, want %q", tt.name, got, tt.want)
		}
	}
	v.SetFilter(Filter{Tunnel: "2"})
	add(s, "1", "/other", 200)
	if v.Sync() {
		t.Error("a request of another tunnel changed the filtered view")
	}
}

func TestViewStandsStillWhileFrozen(t *testing.T) {
	t.Parallel()
	s := NewStore()
	v := NewView(s)
	add(s, "1", "/a", 200)
	v.Sync()
	v.Freeze(true)
	add(s, "1", "/b", 200)
	add(s, "1", "/c", 200)
	if !v.Sync() || paths(v) != "/a" || v.Fresh() != 2 {
		t.Fatalf("frozen: rows %q, %d fresh; want /a and 2", paths(v), v.Fresh())
	}
	// The log may turn over many times meanwhile; what is read stays on the screen.
	for range Capacity + 1 {
		add(s, "1", "/d", 200)
		v.Sync()
	}
	if paths(v) != "/a" || v.Fresh() != Capacity+3 {
		t.Errorf("after a full turn: rows %q, %d fresh", paths(v), v.Fresh())
	}
	v.Freeze(false)
	if v.Len() != Capacity || v.Fresh() != 0 || v.At(0).Path != "/d" {
		t.Errorf("thawed: %d rows, %d fresh, newest %s", v.Len(), v.Fresh(), v.At(0).Path)
	}
}

func TestViewClears(t *testing.T) {
	t.Parallel()
	s := NewStore()
	v := NewView(s)
	add(s, "1", "/a", 200)
	v.Sync()
	v.Freeze(true)
	add(s, "1", "/b", 200)
	v.Sync()
	s.ClearRequests("")
	add(s, "1", "/c", 200)
	if !v.Sync() || paths(v) != "/c" || v.Fresh() != 0 {
		t.Errorf("after clearing: rows %q, %d fresh; want /c and none", paths(v), v.Fresh())
	}
}

func TestViewIsBounded(t *testing.T) {
	t.Parallel()
	s := NewStore()
	v := NewView(s)
	for range 3 {
		for range Capacity {
			add(s, "1", "/", 200)
		}
		v.Sync()
	}
	if v.Len() != Capacity || cap(v.rows) > 4*Capacity {
		t.Errorf("%d rows in room for %d, want %d", v.Len(), cap(v.rows), Capacity)
	}
}

func TestViewFindsRowsByID(t *testing.T) {
	t.Parallel()
	s := NewStore()
	v := NewView(s)
	var odd []*Request
	for i := range 20 {
		if r := add(s, "1", "/"+string(rune('a'+i%2)), 200); i%2 == 1 {
			odd = append(odd, r)
		}
	}
	v.SetFilter(Filter{Text: "/b"})
	for i, r := range odd {
		if got := v.Index(r.ID); got != len(odd)-1-i || v.At(got) != r {
			t.Errorf("request %d is at %d, want %d", r.ID, got, len(odd)-1-i)
		}
		if got := v.Index(r.ID - 1); got != -1 {
			t.Errorf("request %d, filtered out, is at %d", r.ID-1, got)
		}
	}
	if v.Index(0) != -1 || v.Index(999) != -1 {
		t.Error("an unknown ID has a row")
	}
}

// Rows that are held still stay so when the filter changes or a tunnel goes.
func TestHeldRowsStayHeld(t *testing.T) {
	t.Parallel()
	s := NewStore()
	add := func(tunnel, path string) { s.AddRequest(&Request{Tunnel: tunnel, Path: path, Status: 200}) }
	s.PutTunnel(Tunnel{Key: "1"})
	s.PutTunnel(Tunnel{Key: "2"})
	add("1", "/a")
	add("2", "/b")
	v := NewView(s)
	v.Sync()
	v.Freeze(true)
	add("1", "/late")
	v.Sync()
	v.SetFilter(Filter{Tunnel: "1"})
	if v.Len() != 1 || v.At(0).Path != "/a" || v.Fresh() != 1 {
		t.Errorf("filtered while held: %d rows, %d fresh", v.Len(), v.Fresh())
	}
	s.RemoveTunnel("2")
	v.Sync()
	if v.Len() != 1 || v.Fresh() != 1 {
		t.Errorf("after a tunnel has gone: %d rows, %d fresh", v.Len(), v.Fresh())
	}
	v.Freeze(false)
	if v.Len() != 2 || v.Fresh() != 0 {
		t.Errorf("let go: %d rows, %d fresh", v.Len(), v.Fresh())
	}
}
