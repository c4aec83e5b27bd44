package crash

// alive is not needed here: Windows removes no file that a process has open.
func alive(int) bool { return false }
