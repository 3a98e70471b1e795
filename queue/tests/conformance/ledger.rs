//! Paid calls: their pace, their replies, what they cost.

use std::time::Duration;

use queue::{Budget, ExecutionId, Limits, Paid, Place, Rate, Recalled, Turn, Wanted};
use testkit::until_true;

use crate::rig::{Rig, SOON, Store};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
const HOLD: Duration = Duration::from_secs(30);

fn rate(name: &str, limit: f64, amount: f64) -> Rate {
    Rate { name: name.to_owned(), limit, window: MINUTE, amount }
}

fn place(execution: ExecutionId, request: &str) -> Place {
    Place { execution, generation: 0, request: request.to_owned(), occurrence: 0 }
}

fn wanted(place: &Place, holder: &str) -> Wanted {
    Wanted {
        place: place.clone(),
        shared: true,
        holder: holder.to_owned(),
        hold: HOLD,
        budgets: vec![],
    }
}

fn paid(place: &Place, holder: &str, reply: &str) -> Paid {
    Paid {
        place: place.clone(),
        holder: holder.to_owned(),
        reply: reply.into(),
        kept: HOUR,
        shared: Some(HOUR),
        costs: vec![],
        corrections: vec![],
    }
}

async fn reserve(rig: &Rig, rates: &[Rate]) -> Duration {
    match rig.queue.reserve(rates, HOUR).await.unwrap() {
        Turn::In(wait) => wait,
        Turn::TooLate(wait) => panic!("not before {wait:?}"),
    }
}

pub(crate) async fn calls_keep_an_even_pace(store: Store) -> Rig {
    let rig = store.open().await;
    let each = [rate("m", 600.0, 1.0)];

    let mut within_a_minute = 0;
    while reserve(&rig, &each).await < MINUTE {
        within_a_minute += 1;
    }

    assert!((595..=606).contains(&within_a_minute), "{within_a_minute} calls in a minute");
    rig.pass(Duration::from_secs(30));
    let wait = reserve(&rig, &each).await;
    assert!(wait > Duration::from_secs(29) && wait < Duration::from_secs(31), "{wait:?}");
    rig
}

pub(crate) async fn turn_that_is_too_late_is_not_taken(store: Store) -> Rig {
    let rig = store.open().await;
    let slow = [rate("free", 600.0, 1.0), rate("slow", 1.0, 1.0)];
    reserve(&rig, &slow).await;

    let turn = rig.queue.reserve(&slow, Duration::from_secs(5)).await.unwrap();

    let Turn::TooLate(wait) = turn else { panic!("{turn:?}") };
    assert!(wait > Duration::from_secs(50) && wait <= MINUTE, "{wait:?}");
    assert_eq!(reserve(&rig, &slow[..1]).await, Duration::ZERO);
    rig
}

pub(crate) async fn supply_held_off_is_nobodys(store: Store) -> Rig {
    let rig = store.open().await;
    let each = [rate("m", 6000.0, 1.0)];

    rig.queue.hold_off("m", Duration::from_secs(20)).await.unwrap();

    let wait = reserve(&rig, &each).await;
    assert!(wait > Duration::from_secs(19) && wait <= Duration::from_secs(20), "{wait:?}");
    rig.pass(Duration::from_secs(40));
    assert_eq!(reserve(&rig, &each).await, Duration::ZERO);
    rig
}

pub(crate) async fn what_was_not_needed_is_given_back(store: Store) -> Rig {
    let rig = store.open().await;
    reserve(&rig, &[rate("tokens", 1000.0, 500.0)]).await;
    let place = place(ExecutionId::new(), "r");
    let back = vec![rate("tokens", 1000.0, -480.0)];

    let paid = Paid { corrections: back, ..paid(&place, "h", "reply") };
    rig.queue.keep(&paid).await.unwrap();
    rig.queue.keep(&paid).await.unwrap();

    let wait = reserve(&rig, &[rate("tokens", 1000.0, 1.0)]).await;
    assert!(wait < Duration::from_secs(2), "{wait:?}");
    let wait = reserve(&rig, &[rate("tokens", 1000.0, 1.0)]).await;
    assert!(wait < Duration::from_secs(2), "{wait:?}");
    rig
}

pub(crate) async fn own_reply_comes_back_in_its_place(store: Store) -> Rig {
    let rig = store.open().await;
    let first = place(ExecutionId::new(), "r");
    let again = Place { occurrence: 1, ..first.clone() };
    let alone = |place: &Place| Wanted { shared: false, ..wanted(place, "h") };
    let unshared = Paid { shared: None, ..paid(&first, "h", "one") };

    assert_eq!(rig.queue.recall(&alone(&first)).await.unwrap(), Recalled::Yours);
    rig.queue.keep(&unshared).await.unwrap();
    rig.queue.keep(&Paid { reply: "other".into(), ..unshared }).await.unwrap();

    let own = Recalled::Own("one".into());
    assert_eq!(rig.queue.recall(&alone(&first)).await.unwrap(), own);
    assert_eq!(rig.queue.recall(&alone(&again)).await.unwrap(), Recalled::Yours);
    let later = Place { generation: 1, ..first.clone() };
    assert_eq!(rig.queue.recall(&alone(&later)).await.unwrap(), Recalled::Yours);
    rig.queue.forget(first.execution).await.unwrap();
    assert_eq!(rig.queue.recall(&alone(&first)).await.unwrap(), Recalled::Yours);
    rig
}

pub(crate) async fn equal_calls_are_made_once(store: Store) -> Rig {
    let rig = store.open().await;
    let (mine, theirs) = (place(ExecutionId::new(), "r"), place(ExecutionId::new(), "r"));

    assert_eq!(rig.queue.recall(&wanted(&mine, "me")).await.unwrap(), Recalled::Yours);
    assert_eq!(rig.queue.recall(&wanted(&mine, "me")).await.unwrap(), Recalled::Yours);
    assert_eq!(rig.queue.recall(&wanted(&theirs, "they")).await.unwrap(), Recalled::Elsewhere);
    rig.queue.keep(&paid(&mine, "me", "reply")).await.unwrap();

    let shared = Recalled::Shared("reply".into());
    assert_eq!(rig.queue.recall(&wanted(&theirs, "they")).await.unwrap(), shared);
    rig.queue.clear_cache(None).await.unwrap();
    assert_eq!(rig.queue.recall(&wanted(&theirs, "they")).await.unwrap(), Recalled::Yours);
    rig
}

pub(crate) async fn call_given_up_is_another_s(store: Store) -> Rig {
    let rig = store.open().await;
    let (mine, theirs) = (place(ExecutionId::new(), "r"), place(ExecutionId::new(), "r"));
    rig.queue.recall(&wanted(&mine, "me")).await.unwrap();

    rig.queue.give_up("r", "somebody else").await.unwrap();
    assert_eq!(rig.queue.recall(&wanted(&theirs, "they")).await.unwrap(), Recalled::Elsewhere);
    rig.queue.give_up("r", "me").await.unwrap();

    assert_eq!(rig.queue.recall(&wanted(&theirs, "they")).await.unwrap(), Recalled::Yours);
    rig
}

pub(crate) async fn right_of_a_dead_holder_runs_out(store: Store) -> Rig {
    let rig = store.open_by_own_clock(Limits::default()).await;
    let (mine, theirs) = (place(ExecutionId::new(), "r"), place(ExecutionId::new(), "r"));
    let hold = Duration::from_millis(50);
    rig.queue.recall(&Wanted { hold, ..wanted(&mine, "me") }).await.unwrap();

    let is_theirs =
        async || rig.queue.recall(&wanted(&theirs, "they")).await.unwrap() == Recalled::Yours;
    until_true("the right has run out", SOON, is_theirs).await;
    rig
}

pub(crate) async fn spent_budget_stops_new_calls(store: Store) -> Rig {
    let rig = store.open().await;
    let (first, second) = (place(ExecutionId::new(), "r"), place(ExecutionId::new(), "s"));
    let budget = |micros_max| vec![Budget { scope: "b:1".to_owned(), micros_max }];
    let within = |place: &Place, micros| Wanted { budgets: budget(micros), ..wanted(place, "h") };
    let costs = vec![("b:1".to_owned(), 700), ("o:ann".to_owned(), 700)];

    assert_eq!(rig.queue.recall(&within(&first, 1)).await.unwrap(), Recalled::Yours);
    rig.queue.keep(&Paid { costs, ..paid(&first, "h", "reply") }).await.unwrap();

    let spent = Recalled::Spent("b:1".to_owned());
    assert_eq!(rig.queue.recall(&within(&second, 700)).await.unwrap(), spent);
    assert_eq!(rig.queue.recall(&within(&second, 701)).await.unwrap(), Recalled::Yours);
    let own = Recalled::Own("reply".into());
    assert_eq!(rig.queue.recall(&within(&first, 1)).await.unwrap(), own);
    rig
}

pub(crate) async fn oldest_shared_replies_are_forgotten(store: Store) -> Rig {
    let rig = store.open_with(Limits { shared_replies_max: 2, ..Limits::default() }).await;
    for request in ["a", "b", "c"] {
        let place = place(ExecutionId::new(), request);
        rig.queue.keep(&paid(&place, "h", request)).await.unwrap();
        rig.pass(Duration::from_secs(1));
    }
    rig.tick().await;

    let knows = async |request: &str| {
        let wanted = wanted(&place(ExecutionId::new(), request), "h");
        matches!(rig.queue.recall(&wanted).await.unwrap(), Recalled::Shared(_))
    };

    assert_eq!((knows("a").await, knows("b").await, knows("c").await), (false, true, true));
    rig
}

pub(crate) async fn reply_taken_back_is_asked_for_anew(store: Store) -> Rig {
    let rig = store.open().await;
    let (mine, theirs) = (place(ExecutionId::new(), "r"), place(ExecutionId::new(), "r"));
    rig.queue.keep(&paid(&mine, "h", "garbage")).await.unwrap();

    rig.queue.retract(&mine).await.unwrap();

    assert_eq!(rig.queue.recall(&wanted(&mine, "h")).await.unwrap(), Recalled::Yours);
    rig.queue.keep(&paid(&mine, "h", "better")).await.unwrap();
    let shared = Recalled::Shared("better".into());
    assert_eq!(rig.queue.recall(&wanted(&theirs, "they")).await.unwrap(), shared);
    rig
}
