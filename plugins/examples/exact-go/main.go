// An evaluator in Go that needs nothing but the texts: the metrics of evaluator-exact, with the same scores. This file
// speaks with the host; the package metric knows nothing of it, so that its tests run natively.
package main

import (
	"fmt"

	"encaje/evaluator"
	problems "encaje/imports/encaje_common_errors"
	"encaje/wit/types"

	"exact-go/metric"
)

func main() {}

func init() { evaluator.Export(exact{}) }

type exact struct{}

// Check finds nothing that could be wrong: there is no configuration.
func (exact) Check() *evaluator.Problem { return nil }

// Metrics lists the three.
func (exact) Metrics() ([]evaluator.MetricInfo, *evaluator.Problem) {
	normalising := func(name, description string) evaluator.MetricInfo {
		return evaluator.MetricInfo{
			Name: name, Description: description, Lowest: types.Some(0.0), Highest: types.Some(1.0), HigherIsBetter: true,
			Needs: []evaluator.Need{evaluator.NeedReferences}, Deterministic: true, Params: metric.NormalisingSchema,
		}
	}
	return []evaluator.MetricInfo{
		normalising("exact_match", "1 where the output equals one of the references after normalisation, else 0 (SQuAD; Rajpurkar et al. 2016)"),
		normalising("token_f1", "Harmonic mean of precision and recall over bags of normalised tokens, the best of the references (SQuAD; Rajpurkar et al. 2016)"),
		{
			Name: "length", Description: "The output's length; with `min` or `max` 1 where it lies between them (both included), else 0",
			Lowest: types.Some(0.0), HigherIsBetter: true, Deterministic: true, Params: metric.LengthSchema,
		},
	}, nil
}

// Start begins an evaluation.
func (exact) Start(name, params string) (evaluator.Run, *evaluator.Problem) {
	chosen, err := metric.New(name, params)
	if err != nil {
		return nil, problem(err)
	}
	return &run{metric: chosen}, nil
}

// One evaluation: sums alone, so that it may have any number of samples.
type run struct {
	metric metric.Metric
	tally  metric.Tally
}

// Push judges samples.
func (r *run) Push(samples []evaluator.Sample) ([]evaluator.SampleScore, *evaluator.Problem) {
	scores := make([]evaluator.SampleScore, 0, len(samples))
	for _, sample := range samples {
		value, reference, err := r.metric.Judge(sample.Output, sample.References)
		if err != nil {
			r.tally.Fail()
			scores = append(scores, evaluator.Judged(sample, evaluator.Score{}, problem(err)))
			continue
		}
		r.tally.Add(value)
		score := evaluator.Value(r.metric.Name, value)
		if reference >= 0 {
			score.Explanation = types.Some(fmt.Sprintf("by references[%d]", reference))
		}
		scores = append(scores, evaluator.Judged(sample, score, nil))
	}
	return scores, nil
}

// Finish gives the mean, and where values are more than yes or no their spread.
func (r *run) Finish() (evaluator.CorpusScore, *evaluator.Problem) {
	extra := []evaluator.Extra{
		{F0: "judged", F1: fmt.Sprint(r.tally.Judged)},
		{F0: "failed", F1: fmt.Sprint(r.tally.Failed)},
	}
	if r.tally.Judged == 0 {
		none := evaluator.Score{Name: r.metric.Name, Explanation: types.Some("no sample could be judged")}
		return evaluator.CorpusScore{Scores: []evaluator.Score{none}, Extra: extra}, nil
	}
	mean := evaluator.Value(r.metric.Name, r.tally.Mean())
	mean.Explanation = types.Some(fmt.Sprintf("mean of %d samples", r.tally.Judged))
	scores := []evaluator.Score{mean}
	if r.metric.TellsSpread() {
		spread := evaluator.Value(r.metric.Name+"_stddev", r.tally.Deviation())
		spread.Explanation = types.Some(fmt.Sprintf("standard deviation of %d samples", r.tally.Judged))
		scores = append(scores, spread)
	}
	return evaluator.CorpusScore{Scores: scores, Extra: extra}, nil
}

// The package metric's classes in the contract's words.
func problem(err *metric.Error) *evaluator.Problem {
	var told *evaluator.Problem
	switch err.Class {
	case metric.NotFound:
		told = problems.NotFound(err.Message)
	case metric.TooLarge:
		told = problems.TooLarge(err.Message)
	default:
		told = problems.InvalidRequest(err.Message)
	}
	if err.Code != "" {
		told.WithCode(err.Code)
	}
	return told.WithParam(err.Param)
}
