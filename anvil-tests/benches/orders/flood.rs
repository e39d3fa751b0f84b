//! Orders sent at a rate.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::floor::Floor;
use super::waits::Waits;

/// What came of a time of load.
pub(crate) struct Answers {
    pub(crate) rate: f64,
    /// Orders that were not taken.
    pub(crate) refused: usize,
    /// Of the others.
    pub(crate) waits: Waits,
}

/// Sends so many orders a second, for so long.
pub(crate) async fn run(floor: &Floor, rate: u32, time: Duration) -> Result<Answers> {
    let begun = Instant::now();
    let mut answers = JoinSet::new();
    let mut due = begun;
    while due < begun + time {
        tokio::time::sleep_until(due).await;
        let order = floor.next_order();
        answers.spawn(async move {
            let taken = order.send().await;
            (due.elapsed(), taken)
        });
        due += Duration::from_secs(1) / rate;
    }
    let answers = answers.join_all().await;
    let took = begun.elapsed();
    let mut refused = 0;
    let mut times = Vec::with_capacity(answers.len());
    for (time, taken) in answers {
        match taken {
            Ok(()) => times.push(time),
            Err(error) => {
                if refused == 0 {
                    println!("refused: {error:#}");
                }
                refused += 1;
            }
        }
    }
    let waits = Waits::of(times);
    Ok(Answers { rate: waits.rate(took), refused, waits })
}
