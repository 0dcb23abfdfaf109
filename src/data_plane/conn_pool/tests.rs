use super::*;
use crate::units::SimDuration;

fn settings(max_requests: u32) -> PoolSettings {
    PoolSettings {
        max_requests_per_connection: max_requests,
        max_concurrent_streams: 4,
        ..PoolSettings::default()
    }
}

fn open(c: &mut Connections, pool: &mut Pool, s: &PoolSettings, http2: bool) -> u32 {
    let id = c.open(SimTime::ZERO, 0, pool, s, http2);
    c.connected(SimTime::ZERO, id, pool);
    id
}

#[test]
fn the_most_recently_released_connection_is_used_first() {
    let (mut c, mut pool, s) = (Connections::default(), Pool::default(), settings(0));
    let ids: Vec<u32> = (0..3).map(|_| open(&mut c, &mut pool, &s, false)).collect();
    for id in &ids {
        c.attach(*id, &mut pool);
    }
    assert_eq!(
        c.ready(SimTime::ZERO, &mut pool, &s, &mut Expired::default()),
        None
    );
    for id in &ids {
        assert_eq!(
            c.end_stream(SimTime::ZERO, *id, &mut pool, &s),
            AfterStream::Ready
        );
    }
    assert_eq!(
        c.ready(SimTime::ZERO, &mut pool, &s, &mut Expired::default()),
        Some(ids[2])
    );
}

#[test]
fn a_connection_closes_after_its_last_request() {
    let (mut c, mut pool, s) = (Connections::default(), Pool::default(), settings(2));
    let id = open(&mut c, &mut pool, &s, false);
    c.attach(id, &mut pool);
    assert_eq!(
        c.end_stream(SimTime::ZERO, id, &mut pool, &s),
        AfterStream::Ready
    );
    c.attach(id, &mut pool);
    assert_eq!(
        c.end_stream(SimTime::ZERO, id, &mut pool, &s),
        AfterStream::Closed(Retired::UsedUp)
    );
    assert!(pool.is_empty());
}

#[test]
fn http2_fills_one_connection_before_it_asks_for_another() {
    let (mut c, mut pool, s) = (Connections::default(), Pool::default(), settings(0));
    let id = open(&mut c, &mut pool, &s, true);
    for _ in 0..4 {
        let ready = c.ready(SimTime::ZERO, &mut pool, &s, &mut Expired::default());
        assert_eq!(ready, Some(id));
        c.attach(id, &mut pool);
    }
    assert_eq!(
        c.ready(SimTime::ZERO, &mut pool, &s, &mut Expired::default()),
        None
    );
    pool.waiting = 1;
    assert!(pool.needs_connection());
    c.open(SimTime::ZERO, 0, &mut pool, &s, true);
    pool.waiting = 4;
    assert!(
        !pool.needs_connection(),
        "the connecting one will take four"
    );
}

#[test]
fn idle_connections_are_found_closed_when_touched() {
    let (mut c, mut pool) = (Connections::default(), Pool::default());
    let s = PoolSettings {
        idle_timeout: SimDuration::from_secs(1),
        ..settings(0)
    };
    open(&mut c, &mut pool, &s, false);
    let mut expired = Expired::default();
    assert_eq!(
        c.ready(SimTime::from_ns(1_000_000_000), &mut pool, &s, &mut expired),
        None
    );
    assert_eq!(expired, Expired { idle: 1, aged: 0 });
    assert!(pool.is_empty());
}

#[test]
fn connections_behind_the_one_in_use_expire_too() {
    let (mut c, mut pool) = (Connections::default(), Pool::default());
    let s = PoolSettings {
        idle_timeout: SimDuration::from_secs(10),
        ..settings(0)
    };
    let at = |seconds| SimTime::ZERO.after(SimDuration::from_secs(seconds));
    let ids: Vec<u32> = (0..3).map(|_| open(&mut c, &mut pool, &s, false)).collect();
    // The last one opened stands in front and is used once a second.
    for second in 1..=10 {
        let front = c.ready(at(second), &mut pool, &s, &mut Expired::default());
        assert_eq!(front, Some(ids[2]));
        c.attach(ids[2], &mut pool);
        c.end_stream(at(second), ids[2], &mut pool, &s);
    }
    let mut expired = Expired::default();
    let next = c.expire(at(9), &mut pool, &s, &mut expired);
    assert_eq!((expired, next), (Expired::default(), at(10)));
    let next = c.expire(at(10), &mut pool, &s, &mut expired);
    assert_eq!(expired, Expired { idle: 2, aged: 0 });
    assert_eq!((pool.connections, next), (1, at(20)));
}

#[test]
fn a_drained_pool_keeps_busy_connections_and_those_somebody_waits_for() {
    let (mut c, mut pool, s) = (Connections::default(), Pool::default(), settings(0));
    let busy = open(&mut c, &mut pool, &s, false);
    c.attach(busy, &mut pool);
    open(&mut c, &mut pool, &s, false);
    let coming = c.open(SimTime::ZERO, 0, &mut pool, &s, false);
    pool.waiting = 1;
    assert_eq!(c.drain(&mut pool, 0), 1, "the idle one");
    assert_eq!(c.get(coming).phase, Phase::Connecting);
    assert_eq!(
        c.end_stream(SimTime::ZERO, busy, &mut pool, &s),
        AfterStream::Closed(Retired::HostUnhealthy)
    );
    pool.waiting = 0;
    assert_eq!(c.drain(&mut pool, 0), 1, "nobody waits any more");
    assert!(pool.is_empty() && !pool.needs_connection());
}

#[test]
fn an_old_connection_closes_when_it_is_free() {
    let (mut c, mut pool) = (Connections::default(), Pool::default());
    let s = PoolSettings {
        max_connection_duration: Some(SimDuration::from_secs(5)),
        ..settings(0)
    };
    let late = SimTime::ZERO.after(SimDuration::from_secs(6));
    let busy = open(&mut c, &mut pool, &s, false);
    c.attach(busy, &mut pool);
    open(&mut c, &mut pool, &s, false);
    let mut expired = Expired::default();
    c.expire(late, &mut pool, &s, &mut expired);
    assert_eq!(expired, Expired { idle: 0, aged: 1 });
    assert_eq!(
        c.end_stream(late, busy, &mut pool, &s),
        AfterStream::Closed(Retired::TooOld)
    );
    assert!(pool.is_empty());
}
