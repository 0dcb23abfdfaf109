//! Proxies one behind the other: what their retries come to together, and whose patience ends
//! first. Analysis asks it of what may happen, a verdict of what did.

use crate::units::SimDuration;

/// Tries that layers may make together of one request from which it is worth a word.
pub const TRIES_TOGETHER_MIN: u32 = 6;

/// Tries of one request behind layers that each make so many; a layer's tries are each tried
/// again by the next.
pub fn tries_together(layers: impl IntoIterator<Item = u32>) -> u32 {
    layers.into_iter().fold(1, u32::saturating_mul)
}

/// Who waits `inner` (`None`: without end) for a call goes on when its own caller, who waits
/// `outer` in all, has given up. Where nothing is known of the caller only an endless wait outlives it.
pub fn outlives(inner: Option<SimDuration>, outer: Option<SimDuration>) -> bool {
    match (inner, outer) {
        (None, _) => true,
        // The inner wait begins later, so an equal one ends later.
        (Some(inner), Some(outer)) => inner >= outer,
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_multiply_and_do_not_overflow() {
        assert_eq!(tries_together([]), 1);
        assert_eq!(tries_together([3, 3, 3]), 27);
        assert_eq!(tries_together([u32::MAX, 2]), u32::MAX);
    }

    #[test]
    fn an_endless_wait_outlives_everybody() {
        let ms = |ms| Some(SimDuration::from_ms(ms));
        assert!(outlives(None, ms(5)) && outlives(None, None));
        assert!(outlives(ms(5), ms(5)) && !outlives(ms(4), ms(5)) && !outlives(ms(4), None));
    }
}
