"""What a run remembers of its samples: counts, mean and spread, one value at a time (Welford 1962), so that millions of
samples cost no memory and no precision."""

import math


class Tally:
    """The figures so far."""

    def __init__(self):
        self.judged = 0
        self.failed = 0
        self.mean = 0.0
        self._squares = 0.0

    def add(self, value):
        """One more sample; None is one that could not be judged."""
        if value is None:
            self.failed += 1
            return
        self.judged += 1
        before = value - self.mean
        self.mean += before / self.judged
        self._squares += before * (value - self.mean)

    def deviation(self):
        """The standard deviation of these samples, not an estimate for others."""
        return math.sqrt(self._squares / self.judged)
