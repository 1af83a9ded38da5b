package export_encaje_common_lifecycle

// This file answers the host's calls of `lifecycle`. Plugins set Checks through the package of their kind.

import (
	errors "encaje/imports/encaje_common_errors"
	witTypes "encaje/wit/types"
)

// Checks names what the plugin offers, or says what keeps it from working.
var Checks func() ([]string, *errors.Problem)

// Check is what the host calls.
func Check() witTypes.Result[[]string, errors.Problem] {
	if Checks == nil {
		return witTypes.Err[[]string, errors.Problem](*errors.Internal("the plugin exported nothing: call Export in an init function"))
	}
	return witTypes.Of(Checks())
}
