package main

import (
	"encoding/json"
	"fmt"

	"culvert/app/version"
)

type versionCmd struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Run prints what is known about this build.
func (c *versionCmd) Run(out *output) error {
	if c.JSON {
		return json.NewEncoder(out.stdout).Encode(version.Get())
	}
	_, err := fmt.Fprintln(out.stdout, version.Line())
	return err
}
