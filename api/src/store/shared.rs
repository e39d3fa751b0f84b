//! Reads that many wait for.

use tokio::sync::{mpsc, oneshot};

/// Keys that one read answers at most.
const MOST: usize = 256;

/// One read at a time, of whatever was asked for while the one before was out: it begins after it is asked for, so nobody
/// is answered with what was true before. The more who ask, the fewer reads each of them costs.
#[derive(Debug, Clone)]
pub struct Shared<K, V>(mpsc::Sender<(K, oneshot::Sender<V>)>);

impl<K: Send + 'static, V: Send + 'static> Shared<K, V> {
    /// By `read`, which answers keys in their order. A read that fails answers none of them.
    pub fn new<F>(read: impl Fn(Vec<K>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Option<Vec<V>>> + Send,
    {
        let (asks, mut waiting) = mpsc::channel::<(K, oneshot::Sender<V>)>(MOST);
        tokio::spawn(async move {
            let mut turn = Vec::new();
            while waiting.recv_many(&mut turn, MOST).await > 0 {
                turn.retain(|(_, answer)| !answer.is_closed());
                let (keys, answers): (Vec<K>, Vec<_>) = turn.drain(..).unzip();
                for (answer, value) in answers.into_iter().zip(read(keys).await.unwrap_or_default()) {
                    // Whoever asked may have left.
                    let _ = answer.send(value);
                }
            }
        });
        Self(asks)
    }

    /// What the key stands for; `None` where the read failed, and the caller may try alone to hear why.
    pub async fn get(&self, key: K) -> Option<V> {
        let (answer, value) = oneshot::channel();
        self.0.send((key, answer)).await.ok()?;
        value.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn who_asks_while_a_read_is_out_shares_the_next() {
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = reads.clone();
        let shared = Shared::new(move |keys: Vec<usize>| {
            let read = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::task::yield_now().await;
                Some(keys.into_iter().map(|key| (key, read)).collect())
            }
        });
        let answers = join_all((0..100).map(|key| shared.get(key))).await;
        let answers: Vec<(usize, usize)> = answers.into_iter().map(Option::unwrap).collect();
        assert!(answers.iter().enumerate().all(|(asked, (key, _))| asked == *key), "{answers:?}");
        assert!(reads.load(Ordering::SeqCst) < 10, "{answers:?}");
        // Nobody is answered by a read that had begun before.
        let before = reads.load(Ordering::SeqCst);
        assert_eq!(shared.get(1).await, Some((1, before)));
    }

    #[tokio::test]
    async fn a_read_that_fails_answers_nobody() {
        let shared: Shared<u8, u8> = Shared::new(|_| async { None });
        assert_eq!(shared.get(1).await, None);
        assert_eq!(shared.get(2).await, None);
    }
}
