//! How the time of an answer is spent, and whether a problem that came late is the provider's.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits;
use crate::problem::{Problem, ProblemKind};

/// How the time of an answer is spent: by the provider, or by those who take what it says. A visit to a plugin has one
/// deadline for all of it, and so has a call: whoever reads slowly enough lets both of them pass.
pub(crate) struct Shares {
    since: Instant,
    asking: bool,
    provider: Duration,
    others: Duration,
}

impl Shares {
    /// The provider is asked.
    pub(crate) fn begin() -> Self {
        Self {
            since: Instant::now(),
            asking: true,
            provider: Duration::ZERO,
            others: Duration::ZERO,
        }
    }

    /// From now on it is the provider's time, or the others'.
    pub(crate) fn turn(&mut self, asking: bool) {
        let now = Instant::now();
        let spent = now.duration_since(std::mem::replace(&mut self.since, now));
        let share = if std::mem::replace(&mut self.asking, asking) {
            &mut self.provider
        } else {
            &mut self.others
        };
        *share += spent;
    }

    /// Whether the provider answers for a problem that came while it was asked: not for a time that the others spent the
    /// larger part of, nor for an upstream that grew tired of them. A provider that then hangs is found out by the next
    /// call, which nobody delays.
    pub(crate) fn blame(&self, problem: &Problem) -> bool {
        let of_time = matches!(problem.kind, ProblemKind::Timeout | ProblemKind::Unavailable);
        let delayed = self.others > self.provider && self.others >= limits::PATIENCE;
        !(of_time && delayed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer whose provider and readers took so long in turn, in milliseconds.
    async fn spent(turns: &[(u64, u64)]) -> Shares {
        let mut shares = Shares::begin();
        for (provider, others) in turns {
            tokio::time::advance(Duration::from_millis(*provider)).await;
            shares.turn(false);
            tokio::time::advance(Duration::from_millis(*others)).await;
            shares.turn(true);
        }
        shares
    }

    #[tokio::test(start_paused = true)]
    async fn readers_are_an_excuse_where_they_took_long_and_longer_than_the_provider() {
        for kind in [ProblemKind::Timeout, ProblemKind::Unavailable] {
            let problem = Problem::new(kind, "over");
            assert!(
                spent(&[(0, 1), (0, 5)]).await.blame(&problem),
                "nobody tires of milliseconds"
            );
            assert!(!spent(&[(10, 600), (10, 900)]).await.blame(&problem));
            assert!(spent(&[(2_000, 900), (10, 900)]).await.blame(&problem));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_has_no_excuse() {
        let crash = Problem::new(ProblemKind::Internal, "trapped");
        assert!(spent(&[(1, 9_000)]).await.blame(&crash));
    }
}
