// Package evaluator is for plugins that give scores for what a model said: implement Evaluator and Run, and call Export in
// an init function. The meaning of each call is the WIT's.
package evaluator

import (
	lifecycle "encaje/exports/export_encaje_common_lifecycle"
	exported "encaje/exports/export_encaje_evaluator_evaluator"
	_ "encaje/exports/wit_exports" // what the host calls
	"encaje/imports/encaje_common_errors"
	types "encaje/imports/encaje_evaluator_evaluator"
	witTypes "encaje/wit/types"
)

// The contract's types, under the names that plugins use.
type (
	Problem     = encaje_common_errors.Problem
	Sample      = types.Sample
	SampleScore = types.SampleScore
	Score       = types.Score
	CorpusScore = types.CorpusScore
	MetricInfo  = types.MetricInfo
	Need        = types.Need
	Extra       = witTypes.Tuple2[string, string]
)

// What a metric needs.
const (
	NeedReferences = types.Need_References
	NeedQuestion   = types.Need_Question
	NeedContext    = types.Need_Context
	NeedMessages   = types.Need_Messages
	NeedRanking    = types.Need_Ranking
	NeedJudge      = types.Need_Judge
	NeedEmbeddings = types.Need_Embeddings
)

// Run is one evaluation. What concerns one sample belongs into its outcome; a problem ends the run.
type Run interface {
	Push(samples []Sample) ([]SampleScore, *Problem)
	Finish() (CorpusScore, *Problem)
}

// Evaluator is the plugin.
type Evaluator interface {
	// Check is run once for each new generation, before any traffic.
	Check() *Problem
	Metrics() ([]MetricInfo, *Problem)
	Start(metric, params string) (Run, *Problem)
}

// Export makes it the plugin of this component.
func Export(plugin Evaluator) {
	lifecycle.Checks = func() ([]string, *Problem) { return []string{"evaluate"}, plugin.Check() }
	exported.Listed = plugin.Metrics
	exported.Started = func(metric, params string) (exported.Running, *Problem) { return plugin.Start(metric, params) }
}

// Value is a number under a name, and nothing else.
func Value(name string, value float64) Score {
	return Score{Name: name, Value: witTypes.Some(value)}
}

// Judged is the outcome for this sample; problem is nil where there is a score.
func Judged(sample Sample, score Score, problem *Problem) SampleScore {
	return SampleScore{Id: sample.Id, Outcome: witTypes.Of(score, problem)}
}
