//! What a person sees while they wait: on a terminal a spinner with the present step, else one line a step.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// The steps of one start.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    /// Begins.
    pub fn start() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, started: Instant::now() }
    }

    /// Names what is being done now.
    #[allow(clippy::print_stderr, reason = "progress belongs on the error stream of a command")]
    pub fn step(&self, what: &str) {
        if self.bar.is_hidden() {
            eprintln!("{:6.1} s  {what}", self.started.elapsed().as_secs_f32());
        } else {
            self.bar.set_message(what.to_owned());
        }
    }

    /// Ends, taking the spinner away; says how long it took.
    pub fn finish(&self) -> Duration {
        self.bar.finish_and_clear();
        self.started.elapsed()
    }
}
