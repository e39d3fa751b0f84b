//! Which command caused a log. Tokens know no commands: it follows from the log's position between an Executor's.

use std::collections::HashMap;

use alloy::primitives::Address;

use crate::event::ExecutorEvent;
use crate::{ChainLog, Event};

/// Sets [`ChainLog::command`]. `logs` are decoded, in (block, log index) order, and hold every log of the known Executors
/// and of their targets in these blocks.
///
/// A command's logs lie between its Executor's previous log of any kind in the transaction and its `CommandExecuted`.
/// Of these only the target's own count. Where one Executor drives another, the inner command is nearer.
pub(crate) fn attribute(logs: &mut [ChainLog]) {
    for transaction in logs.chunk_by_mut(|a, b| a.block_number == b.block_number && a.tx_hash == b.tx_hash) {
        let mut previous: HashMap<Address, usize> = HashMap::new();
        for here in 0..transaction.len() {
            let Some(Event::Executor(event)) = &transaction[here].event else { continue };
            let executor = transaction[here].address;
            let done = match event {
                ExecutorEvent::CommandExecuted(done) if done.ok => Some((done.id, done.target)),
                _ => None,
            };
            let opened = previous.insert(executor, here);
            let (Some((id, target)), Some(opened)) = (done, opened) else { continue };
            for log in &mut transaction[opened + 1..here] {
                if log.address == target && log.command.is_none() {
                    log.command = Some(id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{B256, Bytes, U256};
    use proptest::prelude::*;

    use super::*;
    use crate::event::{Executor, SecurityToken, TokenEvent};

    const TOKEN: Address = Address::repeat_byte(0x70);
    const OTHER: Address = Address::repeat_byte(0x71);
    const EXECUTOR: Address = Address::repeat_byte(0xe0);
    const OUTER: Address = Address::repeat_byte(0xe1);

    fn log(address: Address, tx: u8, event: Option<Event>) -> ChainLog {
        ChainLog {
            block_number: 1,
            block_hash: B256::ZERO,
            timestamp: 0,
            tx_hash: B256::repeat_byte(tx),
            tx_index: 0,
            log_index: 0,
            address,
            topics: Vec::new(),
            data: Bytes::new(),
            event,
            command: None,
        }
    }

    fn moved(token: Address, tx: u8) -> ChainLog {
        let event = SecurityToken::Transfer { from: TOKEN, to: OTHER, value: U256::ONE };
        log(token, tx, Some(Event::Token(TokenEvent::Transfer(event))))
    }

    fn started(executor: Address, tx: u8) -> ChainLog {
        let event = Executor::BatchStarted { keeper: OTHER };
        log(executor, tx, Some(Event::Executor(ExecutorEvent::BatchStarted(event))))
    }

    fn done(executor: Address, tx: u8, id: u8, target: Address, ok: bool) -> ChainLog {
        let event = Executor::CommandExecuted { id: B256::repeat_byte(id), target, ok, returnData: Bytes::new() };
        log(executor, tx, Some(Event::Executor(ExecutorEvent::CommandExecuted(event))))
    }

    fn commands(mut logs: Vec<ChainLog>) -> Vec<Option<u8>> {
        attribute(&mut logs);
        logs.iter().map(|log| log.command.map(|id| id[0])).collect()
    }

    #[test]
    fn each_effect_belongs_to_the_command_that_ends_after_it() {
        let logs = vec![
            started(EXECUTOR, 1),
            moved(TOKEN, 1),
            moved(TOKEN, 1),
            done(EXECUTOR, 1, 1, TOKEN, true),
            moved(TOKEN, 1),
            done(EXECUTOR, 1, 2, TOKEN, true),
        ];
        assert_eq!(commands(logs), [None, Some(1), Some(1), None, Some(2), None]);
    }

    #[test]
    fn only_the_targets_own_logs_count() {
        let logs = vec![started(EXECUTOR, 1), moved(OTHER, 1), moved(TOKEN, 1), done(EXECUTOR, 1, 1, TOKEN, true)];
        assert_eq!(commands(logs), [None, None, Some(1), None]);
    }

    #[test]
    fn a_command_reaches_neither_before_the_batch_nor_into_another_transaction() {
        let logs = vec![moved(TOKEN, 1), started(EXECUTOR, 1), moved(TOKEN, 2), done(EXECUTOR, 2, 1, TOKEN, true)];
        assert_eq!(commands(logs), [None, None, None, None]);
    }

    #[test]
    fn a_failed_command_caused_nothing() {
        let logs = vec![started(EXECUTOR, 1), moved(TOKEN, 1), done(EXECUTOR, 1, 1, TOKEN, false)];
        assert_eq!(commands(logs), [None, None, None]);
    }

    #[test]
    fn of_nested_executors_the_inner_one_is_nearer() {
        let logs = vec![
            started(OUTER, 1),
            started(EXECUTOR, 1),
            moved(TOKEN, 1),
            done(EXECUTOR, 1, 1, TOKEN, true),
            moved(TOKEN, 1),
            done(OUTER, 1, 2, TOKEN, true),
        ];
        assert_eq!(commands(logs), [None, None, Some(1), None, Some(2), None]);
    }

    proptest! {
        /// Against the definition, log by log: the nearest later `CommandExecuted` whose target is the log's emitter,
        /// with a log of that Executor before and none of it between.
        #[test]
        fn attribution_is_what_the_definition_says(steps in prop::collection::vec((0u8..5, 0u8..2, 0u8..2), 0..40)) {
            let logs: Vec<ChainLog> = steps
                .iter()
                .enumerate()
                .map(|(n, &(what, which, tx))| {
                    let token = if which == 0 { TOKEN } else { OTHER };
                    let executor = if which == 0 { EXECUTOR } else { OUTER };
                    let id = u8::try_from(n).unwrap();
                    match what {
                        0 | 1 => moved(token, tx / 2),
                        2 => started(executor, tx / 2),
                        3 => done(executor, tx / 2, id, TOKEN, true),
                        _ => done(executor, tx / 2, id, OTHER, which == 0),
                    }
                })
                .collect();
            let got = commands(logs.clone());
            for (here, log) in logs.iter().enumerate() {
                let expected = (!matches!(log.event, Some(Event::Executor(_)))).then(|| {
                    logs.iter().enumerate().skip(here + 1).find_map(|(there, end)| match &end.event {
                        Some(Event::Executor(ExecutorEvent::CommandExecuted(e)))
                            if e.ok
                                && e.target == log.address
                                && logs[..here].iter().any(|l| l.address == end.address)
                                && logs[here..there].iter().all(|l| l.address != end.address) => Some(e.id[0]),
                        _ => None,
                    })
                });
                prop_assert_eq!(got[here], expected.flatten(), "log {}", here);
            }
        }
    }
}
