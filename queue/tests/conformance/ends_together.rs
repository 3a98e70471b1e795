//! Notices of executions that end in one step.

use std::time::Duration;

use queue::{Channel, ChannelStats, Delivery, Limits, Subject};

use crate::{
    outbox::{LEASE, stats, take, told},
    rig::{Rig, Store},
};

/// Executions that are told on both channels, and end in one step as it is too late for them.
async fn end_together(rig: &Rig, count: usize) -> Vec<Subject> {
    let mut ended = Vec::new();
    for n in 0..count {
        let mut new = told(&format!("{n}"));
        new.spec.deadline = Some(rig.now() + Duration::from_secs(1));
        ended.push(Subject::Execution(rig.submit(new).await));
    }
    rig.pass(Duration::from_secs(2));
    rig.tick().await;
    ended
}

pub(crate) async fn notices_put_in_together_go_each_its_own_way(store: Store) -> Rig {
    let rig = store.open().await;
    let mut ended = end_together(&rig, 5).await;
    let few = rig.queue.take_notices(Channel::Tracking, 2, LEASE).await.unwrap();
    let fates = [Delivery::Sent, Delivery::Later(LEASE)];
    let sent: Vec<_> = few.iter().cloned().zip(fates).collect();

    rig.queue.delivered(&sent).await.unwrap();
    let counted = ChannelStats { waiting: 4, sent: 1, dropped: 0 };
    assert_eq!(stats(&rig, Channel::Tracking).await, counted);
    let rest = take(&rig, Channel::Tracking).await;

    let mut taken: Vec<_> = few.iter().chain(&rest).map(|it| it.subject).collect();
    taken.sort_by_key(ToString::to_string);
    ended.sort_by_key(ToString::to_string);
    assert_eq!(taken, ended);
    rig
}

pub(crate) async fn notices_put_in_together_are_dropped_no_more_than_is_needed(
    store: Store,
) -> Rig {
    let rig = store.open_with(Limits { outbox_max: 3, ..Limits::default() }).await;
    end_together(&rig, 5).await;

    rig.tick().await;

    let counted = ChannelStats { waiting: 3, sent: 0, dropped: 2 };
    assert_eq!(stats(&rig, Channel::Tracking).await, counted);
    assert_eq!(stats(&rig, Channel::Webhook).await, counted);
    assert_eq!(take(&rig, Channel::Tracking).await.len(), 3);
    rig
}
