package awslocal

// KillDatabase ends DynamoDB Local as a crash would.
func KillDatabase(l *Local) { l.killDatabase() }
