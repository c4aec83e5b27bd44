package discover

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // the race detector does not know that time orders what happens
		var list []Service
		var fail error
		var scans int
		var told [][]Service
		var errs []error
		w := NewWatcher(WatchConfig{
			OnChange: func(s []Service) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, s)
			},
			OnError: func(err error) {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			},
			Scan: func(context.Context) ([]Service, error) {
				mu.Lock()
				defer mu.Unlock()
				scans++
				return list, fail
			},
		})
		set := func(l []Service, err error) {
			mu.Lock()
			defer mu.Unlock()
			list, fail = l, err
		}
		expect := func(what string, wantScans int, want [][]Service) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if scans != wantScans {
				t.Errorf("%s: %d scans, want %d", what, scans, wantScans)
			}
			if diff := cmp.Diff(want, told); diff != "" {
				t.Errorf("%s: what was told (-want +got):\n%s", what, diff)
			}
			told = nil
		}
		w.Refresh()
		time.Sleep(time.Minute)
		expect("nobody watches", 0, nil)
		w.SetWatched(true)
		expect("somebody watches", 1, [][]Service{nil})
		w.SetWatched(true)
		expect("as before", 1, nil)
		time.Sleep(3 * defaultInterval)
		expect("nothing changes", 4, nil)
		one := []Service{{Port: 3000}}
		set(one, nil)
		w.Refresh()
		expect("something listens", 5, [][]Service{one})
		two := []Service{{Port: 3000, Title: "vite"}}
		set(two, nil)
		time.Sleep(defaultInterval)
		expect("it changed its title", 6, [][]Service{two})
		set(two, errors.New("no table"))
		time.Sleep(3 * defaultInterval)
		expect("scans fail", 9, nil)
		if len(errs) != 1 {
			t.Errorf("told errors %v, want one", errs)
		}
		set(two, nil)
		time.Sleep(defaultInterval)
		expect("they work again, with what was", 10, nil)
		w.SetWatched(false)
		set(nil, nil)
		time.Sleep(time.Minute)
		expect("nobody watches any more", 10, nil)
		w.SetWatched(true)
		expect("somebody does again", 11, [][]Service{nil})
		w.Close()
		w.Refresh()
		time.Sleep(time.Minute)
		expect("closed", 11, nil)
	})
}

// A scan that hangs is given up, and Close does not wait for it.
func TestWatcherGivesUpScans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs []error
		w := NewWatcher(WatchConfig{
			OnChange: func([]Service) {},
			OnError:  func(err error) { errs = append(errs, err) },
			Scan: func(ctx context.Context) ([]Service, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		w.SetWatched(true)
		time.Sleep(scanTime + time.Second)
		synctest.Wait()
		if len(errs) != 1 || !errors.Is(errs[0], context.DeadlineExceeded) {
			t.Errorf("told errors %v, want one about the time", errs)
		}
		time.Sleep(defaultInterval)
		w.Close()
	})
}
