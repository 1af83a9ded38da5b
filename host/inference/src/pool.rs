//! The threads that compute: one set for all models, so that two models do not fight for the same cores.
//!
//! One core is left to the edge; where there is but one, the threads ask the system to serve others first. They sleep when
//! there is nothing to do.

use std::num::NonZeroUsize;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// The threads.
pub(crate) struct Pool {
    threads: ThreadPool,
}

impl Pool {
    /// `threads` of them, or one less than there are cores.
    ///
    /// # Errors
    /// What the system said when it gave none.
    pub(crate) fn new(threads: Option<usize>) -> Result<Self, String> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let builder = ThreadPoolBuilder::new()
            .num_threads(threads.unwrap_or_else(|| cores.saturating_sub(1)).max(1))
            .thread_name(|index| format!("inference-{index}"))
            .start_handler(move |_| {
                if cores == 1 {
                    give_way();
                }
            });
        builder
            .build()
            .map(|threads| Self { threads })
            .map_err(|error| error.to_string())
    }

    /// Runs something on these threads and waits for it.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.threads.install(work)
    }
}

/// Makes the calling thread less urgent. Where the system refuses, it stays as it is: slower answers, no wrong ones.
fn give_way() {
    #[cfg(target_os = "linux")]
    // SAFETY: two plain system calls without pointers; on Linux the priority belongs to the thread named.
    unsafe {
        let thread = libc::gettid();
        libc::setpriority(libc::PRIO_PROCESS, thread.cast_unsigned(), crate::limits::NICENESS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_threads_that_were_asked_for_and_leaves_a_core() {
        assert_eq!(Pool::new(Some(3)).unwrap().run(rayon::current_num_threads), 3);
        let cores = std::thread::available_parallelism().unwrap().get();
        assert_eq!(
            Pool::new(None).unwrap().run(rayon::current_num_threads),
            (cores - 1).max(1)
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn giving_way_lowers_this_thread_alone() {
        // SAFETY: a system call without pointers.
        let nice = || unsafe { libc::getpriority(libc::PRIO_PROCESS, libc::gettid().cast_unsigned()) };
        let before = nice();
        let lowered = std::thread::spawn(move || {
            give_way();
            nice()
        });
        assert!(lowered.join().unwrap() >= before.max(crate::limits::NICENESS));
        assert_eq!(nice(), before);
    }
}
