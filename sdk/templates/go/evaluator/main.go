// An evaluator with one metric, `words_in_range`: whether an answer has as many words as it should. Put your metric into
// the package words. It asks no model and needs no references.
package main

import (
	"encoding/json"
	"fmt"

	"encaje/evaluator"
	problems "encaje/imports/encaje_common_errors"
	"encaje/imports/encaje_host_config"
	"encaje/wit/types"

	"{{name}}/words"
)

const metric = "words_in_range"

// Bytes of an answer that is judged: far more than a model says, little beside a guest's memory.
const maxOutputBytes = 1 << 20

func main() {}

func init() { evaluator.Export(plugin{}) }

type plugin struct{}

// The plugin's table of the registry; plugin.toml has its schema and the defaults.
type config struct {
	Max uint32 `json:"max"`
}

func configuration() (config, *evaluator.Problem) {
	var found config
	if err := json.Unmarshal([]byte(encaje_host_config.Get()), &found); err != nil {
		return found, problems.Misconfigured("the configuration is not what plugin.toml describes").WithLogDetail(err.Error())
	}
	return found, nil
}

func (plugin) Check() *evaluator.Problem {
	_, problem := configuration()
	return problem
}

func (plugin) Metrics() ([]evaluator.MetricInfo, *evaluator.Problem) {
	return []evaluator.MetricInfo{{
		Name: metric, Description: "1 where the answer has `min` to `max` words, else 0; words are what spaces part",
		Lowest: types.Some(0.0), Highest: types.Some(1.0), HigherIsBetter: true, Deterministic: true, Params: words.Params,
	}}, nil
}

func (plugin) Start(name, params string) (evaluator.Run, *evaluator.Problem) {
	if name != metric {
		message := fmt.Sprintf("there is no metric `%s`; there is `%s`", name, metric)
		return nil, problems.NotFound(message).WithParam("metric")
	}
	settings, problem := configuration()
	if problem != nil {
		return nil, problem
	}
	within, err := words.Read(params, settings.Max)
	if err != nil {
		return nil, problems.InvalidRequest(err.Error()).WithParam("params")
	}
	return &run{within: within}, nil
}

// One run: the range, and what was judged so far.
type run struct {
	within words.Range
	judged uint64
	sum    float64
}

func (r *run) Push(samples []evaluator.Sample) ([]evaluator.SampleScore, *evaluator.Problem) {
	scores := make([]evaluator.SampleScore, 0, len(samples))
	for _, sample := range samples {
		score, problem := r.judge(sample)
		scores = append(scores, evaluator.Judged(sample, score, problem))
	}
	return scores, nil
}

func (r *run) judge(sample evaluator.Sample) (evaluator.Score, *evaluator.Problem) {
	if len(sample.Output) > maxOutputBytes {
		message := fmt.Sprintf("`output` has more than %d bytes; shorten it", maxOutputBytes)
		return evaluator.Score{}, problems.TooLarge(message).WithParam("output")
	}
	value, count := r.within.Score(sample.Output)
	r.judged++
	r.sum += value
	score := evaluator.Value(metric, value)
	score.Explanation = types.Some(fmt.Sprintf("%d words; %d to %d are wanted", count, r.within.Min, r.within.Max))
	return score, nil
}

func (r *run) Finish() (evaluator.CorpusScore, *evaluator.Problem) {
	share := evaluator.Score{Name: metric, Explanation: types.Some("no sample was judged")}
	if r.judged > 0 {
		share = evaluator.Value(metric, r.sum/float64(r.judged))
	}
	extra := []evaluator.Extra{{F0: "judged", F1: fmt.Sprint(r.judged)}}
	return evaluator.CorpusScore{Scores: []evaluator.Score{share}, Extra: extra}, nil
}
