package export_encaje_evaluator_evaluator

// This file answers the host's calls of `evaluator`. Plugins use the package encaje/evaluator.

import (
	"runtime"

	errors "encaje/imports/encaje_common_errors"
	types "encaje/imports/encaje_evaluator_evaluator"
	witTypes "encaje/wit/types"
)

// Running is one evaluation.
type Running interface {
	Push(samples []types.Sample) ([]types.SampleScore, *errors.Problem)
	Finish() (types.CorpusScore, *errors.Problem)
}

// Listed and Started are the plugin's. The host calls `check` first, which fails where they are not set.
var (
	Listed  func() ([]types.MetricInfo, *errors.Problem)
	Started func(metric, params string) (Running, *errors.Problem)
)

// Run is the resource that the host pushes samples into.
type Run struct {
	pinner  runtime.Pinner
	handle  int32
	running Running
}

// Push judges samples.
func (r *Run) Push(samples []types.Sample) witTypes.Result[[]types.SampleScore, errors.Problem] {
	return witTypes.Of(r.running.Push(samples))
}

// Finish ends the run.
func (r *Run) Finish() witTypes.Result[types.CorpusScore, errors.Problem] {
	return witTypes.Of(r.running.Finish())
}

// OnDrop is called when the host is done with the run.
func (r *Run) OnDrop() { r.running = nil }

// Metrics lists them.
func Metrics() witTypes.Result[[]types.MetricInfo, errors.Problem] { return witTypes.Of(Listed()) }

// Start begins a run.
func Start(metric, params string) witTypes.Result[*Run, errors.Problem] {
	running, problem := Started(metric, params)
	return witTypes.Of(&Run{running: running}, problem)
}
