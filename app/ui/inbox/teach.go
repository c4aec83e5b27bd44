package inbox

import (
	"strings"

	"culvert/app/share"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

// teach says what belongs into an empty list, and how to get it.
func (s *Sheet) teach() {
	if len(s.all) > 0 {
		return
	}
	s.lesson.Set(lessonOf(model.NoticeWay{}))
	s.actions.Way(func(way model.NoticeWay) {
		if len(s.all) == 0 {
			s.lesson.Set(lessonOf(way))
		}
	})
}

func lessonOf(way model.NoticeWay) (title, text, command string) {
	title = words.T("No notices yet")
	text = words.T("A notice is a message that a program sends to you through your backend: that a build is done, or an order came in.") + " "
	switch {
	case way.URL != "":
		return title, text + words.T("Send the first one from a terminal:"), shellLine(way)
	case way.Queue:
		return title, text + words.T("On AWS it is put into the queue NotifyUser, as:"), body(way)
	default:
		return title, text + words.T("Once a tunnel is open through a relay or AWS, this place says how to send one."), ""
	}
}

// shellLine is a line for a shell.
func shellLine(way model.NoticeWay) string {
	var b strings.Builder
	b.WriteString("curl " + way.URL)
	if way.CAFile != "" {
		b.WriteString(" --cacert " + share.Word(way.CAFile))
	}
	b.WriteString(" -H 'Content-Type: application/json'")
	switch {
	case way.Token && way.TokenFile != "":
		b.WriteString(` -H "Authorization: Bearer $(cat ` + share.Word(way.TokenFile) + `)"`)
	case way.Token: // it is kept where no shell finds it
		b.WriteString(` -H "Authorization: Bearer $CULVERT_TOKEN"`)
	}
	b.WriteString(" -d '" + body(way) + "'")
	return b.String()
}

// body is what is sent. A user ID that a shell or JSON would take for something else
// is left to the person.
func body(way model.NoticeWay) string {
	user := way.User
	plain := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("._@:+-/", r)
	}
	if user == "" || strings.ContainsFunc(user, func(r rune) bool { return !plain(r) }) {
		user = "USER"
	}
	return `{"userId":"` + user + `","data":"Hello"}`
}
