// Package settings is the sheet that changes how the program works: its backends
// and their tokens, what new tunnels start with, what is kept of requests, which
// notices appear, and how the program looks and speaks.
//
// The sheet keeps nothing itself. It shows the State that it is given, and asks for
// changes by its Actions; a control moves when the next State says so, and hence
// never shows what is not in force.
package settings

import (
	"culvert/app/config"
	"culvert/app/doctor"
)

// State is all that the sheet shows.
type State struct {
	// Config is what the config file says. The sheet does not change it.
	Config *config.Config
	// Tokens says for each profile where its token is.
	Tokens map[string]Token
	// TokenPlace says in plain words where new tokens are kept.
	TokenPlace string

	// LaunchAtLogin is what the desktop is set to. LaunchProblem says why it cannot be
	// changed, or is "".
	LaunchAtLogin bool
	LaunchProblem string

	// History is how much is kept on disk.
	History Usage

	// ConfigFile is the file's path; ConfigProblem says why it cannot be changed, or is "".
	ConfigFile, ConfigProblem string
	// Version is the build in one line.
	Version string
	// CrashReport is the path of the last crash's report, or "".
	CrashReport string
}

// Usage is how much the history keeps.
type Usage struct {
	Exchanges int
	Bytes     int64
	// Problem says why nothing is kept, or is "".
	Problem string
}

// Token says where a profile's token is.
type Token int

// The places of tokens.
const (
	NoToken     Token = iota // there is none
	TokenKept                // where State.TokenPlace says
	TokenInFile              // in the file that the profile names
	TokenUnread              // it could not be looked up
)

// Profile is a backend as a person enters it.
type Profile struct {
	Name    string
	Backend string // URL
	CAFile  string // file with extra trust roots, or ""
	// Token is a new token, or "" for no change. RemoveToken takes the one away that
	// there is. TokenFile is the file it is read from, "" for none.
	Token       string
	RemoveToken bool
	TokenFile   string
}

// Actions are what the sheet asks for. None of them may block, and whatever they
// call back, they call in the toolkit's goroutine.
type Actions struct {
	// Edit changes the config file, and what of it is in force.
	Edit func(change func(*config.Config), done func(error))
	// SaveProfile changes the profile that was called old, or adds one if old is "".
	SaveProfile func(old string, p Profile, done func(error))
	// RemoveProfile forgets the profile and its token.
	RemoveProfile func(name string, done func(error))
	// Test checks the profile as it is entered; a token that is not is the one kept for
	// old. done comes once, with what kept the checks from being made, or nil; after
	// stop neither comes any more.
	Test func(old string, p Profile, report func(doctor.Check), done func(error)) (stop func())
	// ClearHistory removes all that is kept of requests.
	ClearHistory func(done func(error))
	// SetLaunchAtLogin asks the desktop to start the program at login, or not to.
	SetLaunchAtLogin func(on bool, done func(error))
	// OpenFile shows a file or folder with the desktop's own program.
	OpenFile func(path string)
	// Copy puts text on the clipboard.
	Copy func(text string)
	// Ask puts a question, whose harmless answer is no.
	Ask func(title, text, yes, no string, answer func(yes bool))
	// Closed is called when the sheet has been closed.
	Closed func()
}

// Page is one page of the sheet.
type Page int

// The pages in their order.
const (
	Backends Page = iota
	NewTunnels
	Requests
	Notices
	General
)
