package main

import (
	"context"
	"encoding/json"
	"log/slog"

	"culvert/backend/awslocal/runtime"
)

// functionLog shows what functions have to complain of: their warnings and errors,
// and whatever is none of their log's lines, as a crash. The rest is for CloudWatch.
func functionLog(log *slog.Logger) func(runtime.Line) {
	return func(l runtime.Line) {
		var line map[string]any
		if json.Unmarshal([]byte(l.Text), &line) != nil {
			log.Warn(l.Text, "function", l.Function)
			return
		}
		var level slog.Level
		text, _ := line["level"].(string)
		if level.UnmarshalText([]byte(text)) != nil || level < slog.LevelWarn {
			return
		}
		message, _ := line["message"].(string)
		attrs := []any{"function", l.Function}
		for name, value := range line {
			switch name {
			case "level", "message", "timestamp", "_aws":
			default:
				attrs = append(attrs, name, value)
			}
		}
		log.Log(context.Background(), level, message, attrs...)
	}
}
