/**
 * What a run remembers of its samples: counts, mean and spread, one value at a time (Welford 1962), so that millions of
 * samples cost no memory and no precision.
 */
export class Tally {
  judged = 0;
  failed = 0;
  mean = 0;
  #squares = 0;

  /** One more sample; undefined is one that could not be judged. */
  add(value) {
    if (value === undefined || value === null) {
      this.failed += 1;
      return;
    }
    this.judged += 1;
    const before = value - this.mean;
    this.mean += before / this.judged;
    this.#squares += before * (value - this.mean);
  }

  /** The standard deviation of these samples, not an estimate for others. */
  deviation() {
    return Math.sqrt(this.#squares / this.judged);
  }
}
