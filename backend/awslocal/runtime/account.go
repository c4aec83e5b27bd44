package runtime

import (
	"fmt"
	"sync"
)

// Account is the concurrency that functions of one account and region share.
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
type Account struct {
	mu       sync.Mutex
	limit    int
	reserved int
	used     int // of what nobody has reserved
}

// NewAccount makes an account that runs so many invocations at once; 0 means 1000.
// New accounts often have 10.
func NewAccount(concurrency int) *Account {
	if concurrency <= 0 {
		concurrency = defaultAccount
	}
	return &Account{limit: concurrency}
}

// reserve sets concurrency aside for a function. As in Lambda, some must remain for
// the functions without: an account of 10 can reserve none.
func (a *Account) reserve(n int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.limit-a.reserved-n < minUnreserved {
		return fmt.Errorf("reserving %d decreases the account's unreserved concurrency below its minimum value of %d: ask for a higher limit, or reserve less", n, minUnreserved)
	}
	a.reserved += n
	return nil
}

func (a *Account) unreserve(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reserved -= n
}

func (a *Account) acquire() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.used >= a.limit-a.reserved {
		return false
	}
	a.used++
	return true
}

func (a *Account) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.used--
}

// slots is the concurrency that one function may use.
type slots struct {
	account  *Account
	reserved int

	mu   sync.Mutex
	used int
}

func newSlots(account *Account, reserved int) (*slots, error) {
	if reserved > 0 {
		if err := account.reserve(reserved); err != nil {
			return nil, err
		}
	}
	return &slots{account: account, reserved: reserved}, nil
}

func (s *slots) acquire() bool {
	if s.reserved == 0 {
		return s.account.acquire()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used >= s.reserved {
		return false
	}
	s.used++
	return true
}

func (s *slots) release() {
	if s.reserved == 0 {
		s.account.release()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
}

func (s *slots) giveBack() {
	if s.reserved > 0 {
		s.account.unreserve(s.reserved)
	}
}
