//! Reading what became of a batch's items.

use queue::{State, Which};

use crate::{
    batch::{submit, take},
    rig::{Rig, Store, batch_of, failed, succeeded},
};

pub(crate) async fn results_come_in_order_while_it_runs(store: Store) -> Rig {
    let rig = store.open().await;
    let id = submit(&rig, batch_of(6)).await;
    let worker = rig.worker().await;
    let mut leases = take(&rig, &worker, 6).await;

    for index in [4, 3, 1] {
        rig.finish(leases.remove(index), succeeded("yes")).await;
    }

    let page = rig.queue.batch_results(id, 0, 9, Which::All).await.unwrap();
    let got: Vec<_> = page.items.iter().map(|it| it.id).collect();
    assert_eq!(got, [id.item(1), id.item(3), id.item(4)]);
    assert!(page.items.iter().all(|it| it.report.is_some()));
    rig
}

pub(crate) async fn results_in_turn_stop_before_what_has_not_ended(store: Store) -> Rig {
    let rig = store.open().await;
    let id = submit(&rig, batch_of(200)).await;
    let worker = rig.worker().await;
    let mut leases = take(&rig, &worker, 200).await;
    let last = leases.split_off(70);
    let late = leases.remove(66);
    for lease in leases.into_iter().chain(last) {
        rig.finish(lease, succeeded("yes")).await;
    }
    let in_turn = async |from| {
        let page = rig.queue.batch_results(id, from, 150, Which::InTurn).await.unwrap();
        let indexes: Vec<u32> = page.items.iter().map(|it| it.id.item_of().unwrap().1).collect();
        (indexes, page.next.map(|it| it.parse::<u32>().unwrap()))
    };

    assert_eq!(in_turn(0).await, ((0..66).collect(), Some(66)));
    assert_eq!(in_turn(66).await, (Vec::new(), Some(66)));
    rig.finish(late, succeeded("yes")).await;
    assert_eq!(in_turn(66).await, ((66..200).collect(), None));
    rig
}

pub(crate) async fn results_are_filtered_and_paged(store: Store) -> Rig {
    let rig = store.open().await;
    let id = submit(&rig, batch_of(150)).await;
    let worker = rig.worker().await;
    for (n, lease) in take(&rig, &worker, 150).await.into_iter().enumerate() {
        let end = if n % 3 == 0 { failed("no") } else { succeeded("yes") };
        rig.finish(lease, end).await;
    }
    let walk = async |which, max| {
        let (mut from, mut got) = (0, Vec::new());
        for _ in 0..=150 {
            let page = rig.queue.batch_results(id, from, max, which).await.unwrap();
            assert!(page.items.len() <= max);
            got.extend(page.items.iter().map(|it| it.id.item_of().unwrap().1));
            match page.next {
                Some(next) => from = next.parse().unwrap(),
                None => return got,
            }
        }
        panic!("the pages never end");
    };

    assert_eq!(walk(Which::All, 40).await, (0..150).collect::<Vec<u32>>());
    let thirds: Vec<u32> = (0..150).filter(|n| n % 3 == 0).collect();
    assert_eq!(walk(Which::Only(State::Failed), 7).await, thirds);
    assert!(walk(Which::Only(State::Cancelled), 7).await.is_empty());
    rig
}
