package discover

import "culvert/app/target"

// HazardOf judges a target that a person typed. It knows no more of it than the port.
func HazardOf(t target.Target) Hazard { return HazardOfPort(t.Port) }

// HazardOfPort says what usually listens on a port, if that is hazardous.
func HazardOfPort(port int) Hazard { return Hazard{} }
