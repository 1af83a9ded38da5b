package encaje_common_errors

// This file stands beside the generated bindings and adds to the type Problem what plugins want of it: constructors, one a
// class that plugins use, and setters for what is optional. No text is made up here.

import witTypes "encaje/wit/types"

// New is a problem of any class. message is for the caller: no secret, no path, no upstream body.
func New(kind ProblemKind, message string) *Problem { return &Problem{Kind: kind, Message: message} }

// InvalidRequest is the caller's fault; never retried.
func InvalidRequest(message string) *Problem { return New(MakeProblemKindInvalidRequest(), message) }

// Unsupported is well-formed, but this plugin cannot do it.
func Unsupported(message string) *Problem { return New(MakeProblemKindUnsupported(), message) }

// NotFound is for a name that names nothing.
func NotFound(message string) *Problem { return New(MakeProblemKindNotFound(), message) }

// TooLarge is more than a cap allows.
func TooLarge(message string) *Problem { return New(MakeProblemKindTooLarge(), message) }

// Unavailable is the other end's fault; retried where the call is safe to repeat.
func Unavailable(message string) *Problem { return New(MakeProblemKindUnavailable(), message) }

// Misconfigured is the operator's fault: a wrong configuration, a missing grant.
func Misconfigured(message string) *Problem { return New(MakeProblemKindMisconfigured(), message) }

// Internal is the plugin's own fault.
func Internal(message string) *Problem { return New(MakeProblemKindInternal(), message) }

// Error is the text for the caller.
func (p *Problem) Error() string { return p.Message }

// WithParam names the offending parameter, e.g. `messages[0].content`.
func (p *Problem) WithParam(param string) *Problem {
	p.Param = witTypes.Some(param)
	return p
}

// WithCode adds a stable machine word, e.g. `context_length_exceeded`.
func (p *Problem) WithCode(code string) *Problem {
	p.Code = witTypes.Some(code)
	return p
}

// WithLogDetail adds what only the operator's log may say.
func (p *Problem) WithLogDetail(detail string) *Problem {
	p.LogDetail = witTypes.Some(detail)
	return p
}

// WithRetryAfter says when to try again.
func (p *Problem) WithRetryAfter(milliseconds uint64) *Problem {
	p.RetryAfterMs = witTypes.Some(milliseconds)
	return p
}

// WithUpstreamStatus adds the HTTP status of the upstream that failed.
func (p *Problem) WithUpstreamStatus(status uint16) *Problem {
	p.UpstreamStatus = witTypes.Some(status)
	return p
}
