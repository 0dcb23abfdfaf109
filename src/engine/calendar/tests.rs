use proptest::prelude::*;

use super::super::heap::key;
use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Push {
        delay: u64,
    },
    Pop,
    /// The clock moves on for another reason, unless an entry comes first.
    Skip {
        delay: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let delay = prop_oneof![
        0_u64..4,
        0_u64..10_000,
        0_u64..10_000_000,
        0_u64..10_000_000_000,
    ];
    prop_oneof![
        5 => delay.clone().prop_map(|delay| Step::Push { delay }),
        4 => Just(Step::Pop),
        1 => delay.prop_map(|delay| Step::Skip { delay }),
    ]
}

/// Compares with the heap, whose order is simple enough to trust.
fn check(steps: &[Step], shift: u32, numbers_per_review: u64, crowd: usize) {
    let mut calendar = Calendar::new(0.0);
    calendar.shift = shift;
    calendar.numbers_per_review = numbers_per_review;
    calendar.review_at = numbers_per_review;
    calendar.crowd = crowd;
    let mut heap = Heap::new();
    let (mut now, mut sequence) = (0, 0);
    for &step in steps
        .iter()
        .chain(std::iter::repeat_n(&Step::Pop, steps.len()))
    {
        match step {
            Step::Push { delay } => {
                sequence += 1;
                let entry = Entry {
                    at: now + delay,
                    sequence,
                    event: sequence,
                };
                calendar.push(entry);
                heap.push(entry);
            }
            Step::Pop => {
                let expected = heap.pop().map(|entry| entry.key());
                assert_eq!(calendar.first_key(), expected.unwrap_or(u128::MAX));
                let popped = calendar.pop_before(u128::MAX);
                assert_eq!(popped.map(|entry| entry.key()), expected);
                now = expected.map_or(now, |first| (first >> 64) as u64);
            }
            Step::Skip { delay } => {
                let rival = key(now + delay, sequence);
                let first = heap.first().map_or(u128::MAX, Entry::key);
                let popped = calendar.pop_before(rival).map(|entry| entry.key());
                if first < rival {
                    assert_eq!(popped, heap.pop().map(|entry| entry.key()));
                    now = (first >> 64) as u64;
                } else {
                    assert_eq!(popped, None);
                    now += delay;
                    calendar.skip_to(now);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_width_and_no_change_of_width_affects_the_order(
        steps in prop::collection::vec(step(), 0..400),
        numbers_per_review in 1_u64..50,
        crowd in 1_usize..20,
    ) {
        for shift in [SHIFT_MIN, 10, SHIFT_UNKNOWN, SHIFT_MAX] {
            check(&steps, shift, numbers_per_review, crowd);
            check(&steps, shift, numbers_per_review, CROWD);
        }
    }
}

#[test]
fn a_crowd_at_one_instant_leaves_in_the_order_it_came() {
    // Kept in a sorted list, half a million entries at the front would be moved 10^11 times.
    let mut calendar = Calendar::new(1e6);
    let count = 500_000;
    for sequence in 0..count {
        calendar.push(Entry {
            at: 7,
            sequence,
            event: (),
        });
    }
    for sequence in 0..count {
        let popped = calendar.pop_before(u128::MAX).map(|entry| entry.key());
        assert_eq!(popped, Some(key(7, sequence)));
        calendar.push(Entry {
            at: 8 + sequence % 100_000,
            sequence: count + sequence,
            event: (),
        });
    }
    let mut last = 0;
    for _ in 0..count {
        let next = calendar.pop_before(u128::MAX).unwrap().key();
        assert!(next > last);
        last = next;
    }
    assert_eq!(calendar.first_key(), u128::MAX);
}

/// The width after half a million events of a steady rate.
fn settled(shift: u32, events_per_second: u64, waiting: u64) -> u32 {
    let mut calendar = Calendar::new(0.0);
    calendar.shift = shift;
    let gap = 1_000_000_000 / events_per_second;
    let delay = gap * waiting;
    for sequence in 0..waiting {
        calendar.push(Entry {
            at: sequence * gap,
            sequence,
            event: (),
        });
    }
    for sequence in waiting..500_000 {
        let at = calendar.pop_before(u128::MAX).unwrap().at + delay;
        calendar.push(Entry {
            at,
            sequence,
            event: (),
        });
    }
    calendar.shift
}

#[test]
fn the_width_follows_the_rate() {
    assert_eq!(
        settled(SHIFT_UNKNOWN, 35_000, 500),
        SHIFT_UNKNOWN,
        "about right stays"
    );
    assert!(
        settled(SHIFT_MAX, 1_000_000, 5_000) < 15,
        "crowded days get shorter"
    );
    assert!(
        settled(8, 35_000, 500) > 10,
        "days get longer when the ring is too short"
    );
}
